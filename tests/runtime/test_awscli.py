"""The AWS CLI, unmodified, as a client."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.errors import DecodeError
from serving.problems import response
from tests.runtime.conftest import MakeFront
from tests.runtime.support import ANSWER, CREDENTIALS, Front

Aws = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def front(make_front: MakeFront, store: Path) -> Front:
    """The API, asynchronous invocations too."""
    return make_front(async_output=str(store))


@pytest.fixture
def aws(front: Front, tmp_path: Path) -> Aws:
    """Runs ``aws sagemaker-runtime`` for an endpoint."""
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("AWS_")},
        **CREDENTIALS,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_MAX_ATTEMPTS": "1",
    }

    def run(operation: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        command = [
            *(sys.executable, "-m", "awscli", "sagemaker-runtime", operation),
            *("--endpoint-url", front.url, "--endpoint-name", "any"),
            *map(str, arguments),
        ]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_it_invokes_an_endpoint(front: Front, aws: Aws, tmp_path: Path) -> None:
    (tmp_path / "input.csv").write_bytes(b"1,2\n")
    done = aws(
        "invoke-endpoint",
        *("--body", f"fileb://{tmp_path / 'input.csv'}"),
        *("--content-type", "text/csv", "--accept", "application/json"),
        tmp_path / "output",
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["ContentType"], told["InvokedProductionVariant"]) == ("text/csv", "AllTraffic")
    assert (tmp_path / "output").read_bytes() == ANSWER.body
    request = front.core.request
    assert (request.body, request.headers["accept"]) == (b"1,2\n", "application/json")


def test_it_shows_what_the_model_says_is_wrong(front: Front, aws: Aws, tmp_path: Path) -> None:
    front.core.answer = lambda _: response(DecodeError("Row 1 is short."))
    done = aws("invoke-endpoint", "--body", "1", tmp_path / "output")
    assert done.returncode != 0
    assert "(ModelError)" in done.stderr
    assert "Received client error (400) from model with message" in done.stderr
    assert "Row 1 is short." in done.stderr


def test_it_invokes_an_endpoint_asynchronously(front: Front, aws: Aws, store: Path) -> None:
    store.mkdir(exist_ok=True)
    (store / "input.csv").write_bytes(b"1,2\n")
    done = aws(
        "invoke-endpoint-async",
        *("--input-location", f"file:{store / 'input.csv'}"),
        *("--inference-id", "one", "--content-type", "text/csv"),
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told == {
        "InferenceId": "one",
        "OutputLocation": (store / "one.out").as_uri(),
        "FailureLocation": (store / "one-error.out").as_uri(),
    }
    front.host.until((store / "one.out").exists)
    assert (store / "one.out").read_bytes() == ANSWER.body
