"""Deploy a model by the SageMaker SDK's local mode, ask it, and write down the answers.

    python local_mode.py JOB ANSWERS

Both are JSON files. This runs in the environment of the clients, which has the SDK but neither
pytest nor this project.
"""

import json
import sys
from pathlib import Path
from typing import Any

from sagemaker import deserializers, serializers
from sagemaker.local import LocalSession
from sagemaker.model import Model
from sagemaker.predictor import Predictor

Job = dict[str, Any]

NO_TELEMETRY = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}


def make_model(job: Job) -> Model:
    """The model that the job names, in a session that needs no account."""
    session = LocalSession(sagemaker_config=NO_TELEMETRY)
    session.config = {"local": {"local_code": True, **job["local"]}}
    return Model(
        role="arn:aws:iam::123456789012:role/nobody",
        # Nothing is put there; without it, the SDK would ask AWS for the account's bucket.
        code_location="s3://nobodys-bucket",
        predictor_cls=Predictor,
        sagemaker_session=session,
        **job["model"],
    )


def predict(job: Job) -> list[Any]:
    """The answer to each request."""
    # The container is ready by then; to wait would be a pause of 30 s.
    predictor = make_model(job).deploy(1, "local", wait=False)
    try:
        return [ask(predictor, **request) for request in job["requests"]]
    finally:
        predictor.delete_endpoint()


def ask(predictor: Predictor, serializer: str, deserializer: str, **request: Any) -> Any:
    """An answer, as an application gets it that uses these two of the SDK's classes."""
    predictor.serializer = getattr(serializers, serializer)()
    predictor.deserializer = getattr(deserializers, deserializer)()
    return predictor.predict(**request)


def transform(job: Job) -> None:
    """Do a batch transform job; its output lies where the job says."""
    transformer = make_model(job).transformer(1, "local", **job["transformer"])
    transformer.transform(**job["transform"], logs=False)


if __name__ == "__main__":
    job, answers = map(Path, sys.argv[1:])
    told = json.loads(job.read_text())
    do = {"predict": predict, "transform": transform}[told["do"]]
    answers.write_text(json.dumps(do(told)))
