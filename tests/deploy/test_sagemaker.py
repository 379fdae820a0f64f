"""The commands for SageMaker, run as they stand in docs/deploying.md by the AWS CLI.

moto stands for SageMaker's control plane, and this project's server for the endpoint itself.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.deploy.pages import commands
from tests.models import stump
from tests.support import environment, serving

REGION = "eu-central-1"
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/hybrid-serving:cpu"
ROLE = "arn:aws:iam::123456789012:role/models"
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    """The address of a server that stands for AWS."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a model, which stands for an endpoint."""
    folder = tmp_path_factory.mktemp("model")
    stump().save_model(folder / "xgboost-model.ubj")
    with serving(folder, tmp_path_factory.mktemp("server")) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def folder(account: str, endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands have run, one section after the other."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "rows.csv").write_text("0,0\n1,0\n")
    variables = environment(
        **ACCOUNT,
        AWS_ENDPOINT_URL=account,
        AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=endpoint,
        BUCKET="models",
        IMAGE=IMAGE,
        ROLE=ROLE,
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )
    for heading in ("One model", "Many models", "Serverless and asynchronous", "Batch transform"):
        command = ["bash", "-euo", "pipefail", "-c", commands(heading)]
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{heading}: {done.stderr}"
    return folder


@pytest.fixture
def sagemaker(account: str, folder: Path) -> Any:
    """A client that tells what the commands have made."""
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client("sagemaker", endpoint_url=account, region_name=REGION, **keys)


def variant(sagemaker: Any, configuration: str) -> dict[str, Any]:
    """The only variant of an endpoint configuration."""
    found = sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
    (variant,) = found["ProductionVariants"]
    return dict(variant)


def test_the_endpoint_answers_with_a_prediction_a_row(folder: Path) -> None:
    assert (folder / "answer.csv").read_text() == "1.0\n3.0\n"


def test_one_model_is_an_image_an_archive_and_an_endpoint(sagemaker: Any) -> None:
    model = sagemaker.describe_model(ModelName="churn")
    assert model["ExecutionRoleArn"] == ROLE
    archive = "s3://models/model.tar.gz"
    assert model["PrimaryContainer"] == {"Image": IMAGE, "ModelDataUrl": archive}
    endpoint = sagemaker.describe_endpoint(EndpointName="churn")
    assert (endpoint["EndpointConfigName"], endpoint["EndpointStatus"]) == ("churn", "InService")
    assert variant(sagemaker, "churn")["ModelName"] == "churn"


def test_many_models_are_a_prefix_in_multi_model_mode(sagemaker: Any) -> None:
    container = sagemaker.describe_model(ModelName="many")["PrimaryContainer"]
    assert (container["Mode"], container["ModelDataUrl"]) == ("MultiModel", "s3://models/models/")
    assert sagemaker.describe_endpoint(EndpointName="many")["EndpointConfigName"] == "many"


def test_a_serverless_endpoint_has_memory_instead_of_instances(sagemaker: Any) -> None:
    serverless = variant(sagemaker, "churn-serverless")
    assert serverless["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert "InstanceType" not in serverless


def test_an_asynchronous_endpoint_has_a_place_for_answers(sagemaker: Any) -> None:
    found = sagemaker.describe_endpoint_config(EndpointConfigName="churn-async")
    assert found["AsyncInferenceConfig"]["OutputConfig"] == {"S3OutputPath": "s3://models/answers"}


def test_a_transform_job_reads_and_writes_lines(sagemaker: Any) -> None:
    job = sagemaker.describe_transform_job(TransformJobName="churn-1")
    assert job["ModelName"] == "churn"
    assert job["TransformInput"]["SplitType"] == job["TransformOutput"]["AssembleWith"] == "Line"
