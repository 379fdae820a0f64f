"""The AWS CLI, unmodified, calls a container as it calls an endpoint of SageMaker."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.containers import clients
from tests.containers.docker import DEADLINE
from tests.containers.examples import LINES, NAME
from tests.support import post

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.containers.docker import Container, Starter
    from tests.containers.examples import InProcess, Trained

pytestmark = pytest.mark.container

CSV = "text/csv"
OUTBOX = Path("/outbox")


def call(container: "Container", operation: str, *arguments: str | Path) -> "CompletedProcess[str]":
    """Run the CLI with an operation of the SageMaker Runtime API."""
    endpoint = ("--endpoint-url", f"http://127.0.0.1:{container.port}", "--endpoint-name", "any")
    return clients.run("aws", "sagemaker-runtime", operation, *endpoint, *arguments)


def wait_for(path: Path, container: "Container") -> bytes:
    """What a file holds, once the container has written it."""
    limit = time.monotonic() + DEADLINE
    while not path.exists():
        assert container.ended(pause=0.1) is None, container.log
        assert time.monotonic() < limit, container.log
    return path.read_bytes()


def test_invoke_endpoint_writes_what_the_model_answers(
    image: str,
    start: "Starter",
    trained: "Trained",
    in_process: "InProcess",
    tmp_path: Path,
) -> None:
    model, out = trained(NAME), tmp_path / "out"
    container = start(image, model)
    container.wait_for_ping(200)

    request = ("--content-type", CSV, "--accept", CSV, "--body", f"fileb://{LINES}")
    done = call(container, "invoke-endpoint", *request, out)

    assert done.returncode == 0, done.stderr
    answer = in_process(model, post(LINES.read_bytes(), content_type=CSV, accept=CSV))
    assert out.read_bytes() == answer.body
    members = json.loads(done.stdout)
    assert members["ContentType"] == answer.headers["content-type"]
    assert members["InvokedProductionVariant"] == "AllTraffic"


def test_what_the_model_refuses_is_a_model_error_with_its_message(
    image: str, start: "Starter", trained: "Trained", tmp_path: Path
) -> None:
    container = start(image, trained(NAME))
    container.wait_for_ping(200)

    request = ("--content-type", "image/png", "--body", f"fileb://{LINES}")
    done = call(container, "invoke-endpoint", *request, tmp_path / "out")

    assert done.returncode != 0
    assert "(ModelError) when calling the InvokeEndpoint operation" in done.stderr
    assert "Received client error (415)" in done.stderr
    assert "image/png" in done.stderr
    assert not (tmp_path / "out").exists()


def test_invoke_endpoint_async_says_where_the_answer_will_lie(
    image: str,
    start: "Starter",
    trained: "Trained",
    in_process: "InProcess",
    tmp_path: Path,
) -> None:
    model = trained(NAME)
    outbox = ("--volume", f"{tmp_path}:{OUTBOX}", "--env", f"SERVING_ASYNC_OUTPUT={OUTBOX}")
    container = start(image, model, *outbox)
    container.wait_for_ping(200)

    request = ("--content-type", CSV, "--accept", CSV, "--body", f"fileb://{LINES}")
    done = call(container, "invoke-endpoint-async", *request)

    assert done.returncode == 0, done.stderr
    location = Path(urlsplit(json.loads(done.stdout)["OutputLocation"]).path)
    answer = in_process(model, post(LINES.read_bytes(), content_type=CSV, accept=CSV))
    assert wait_for(tmp_path / location.relative_to(OUTBOX), container) == answer.body
