"""What ``serve`` says, at its start and while it runs: workers, variables, access log, EMF."""

import json
import os
import tarfile
from pathlib import Path
from typing import Any

from tests.cli.conftest import Command
from tests.support import post, serving

SCRIPT = """\
def model_fn(model_dir):
    return None

def transform_fn(model, input_data, content_type, accept):
    return input_data.upper()
"""


def objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects, one a line, of what a server has written; anything else fails."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_server_speaks_json_of_its_start_its_requests_and_its_metrics(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    variables = {
        "SERVING_LOG_FORMAT": "json",
        "SERVING_ACCESS_LOG": "true",
        "SERVING_EMF_NAMESPACE": "Models",
        "SAGEMAKER_USE_NGINX": "true",
        "SAGEMAKER_MODEL_SERVER_VMARGS": "-Xmx1g",
    }
    with serving(folders["xgboost"], tmp_path, **variables) as server:
        request = post(b"0,5\n2,5", content_type="text/csv", x_request_id="first")
        assert server.ask(request).status == 200
    records = objects(server.log)
    warnings = [record["message"] for record in records if record.get("level") == "WARNING"]
    assert [warning.partition(" ")[0] for warning in warnings] == [
        "SAGEMAKER_MODEL_SERVER_VMARGS",
        "SAGEMAKER_USE_NGINX",
    ]
    assert "workers: 1, as set" in [record.get("message") for record in records]
    (access,) = [record for record in records if record.get("logger") == "serving.access"]
    assert (access["request_id"], access["status"], access["bytes_in"]) == ("first", 200, 7)
    (metrics,) = [record for record in records if "_aws" in record]
    assert metrics["Requests2XX"] == 1
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Models"


def test_the_scripts_folder_may_be_an_archive(tmp_path: Path) -> None:
    (tmp_path / "inference.py").write_text(SCRIPT)
    archive, model = tmp_path / "sourcedir.tar.gz", tmp_path / "model"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "inference.py", "inference.py")
    model.mkdir()
    with serving(model, tmp_path, SAGEMAKER_SUBMIT_DIRECTORY=f"file://{archive}") as server:
        answer = server.ask(post(b'"a"', content_type="application/json"))
    assert (answer.status, answer.body) == (200, b'"A"')
    assert "workers: 1, as set" in server.log


def test_libraries_and_scripts_learn_sagemakers_region(
    command: Command, folders: dict[str, Path]
) -> None:
    assert command("inspect", folders["onnx"], SAGEMAKER_REGION="eu-north-1").status == 0
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-north-1"
