"""What a function does not import before its first answer: each of it would make a start longer."""

import json
import subprocess
import sys

import onnx
import pytest

from tests.hosts.aws_lambda.shapes import Context
from tests.models import doubling

STANDARD = {
    *("asyncio", "concurrent.futures", "hashlib", "http.client", "secrets", "selectors"),
    *("shutil", "socket", "ssl", "subprocess", "tarfile", "tempfile", "zipfile"),
}
"""Modules that import much, and that nothing needs where a model is all there is."""

LIBRARIES = {
    *("flask", "gunicorn", "httptools", "prometheus_client", "scipy", "sklearn", "torch"),
    *("uvloop", "xgboost"),
}

OWN = {
    *("archives", "compat", "emf", "multi", "processes", "progress", "requirements"),
    *("auth.guard", "auth.keyfile", "engines.neuron", "engines.script", "engines.torch"),
    *("engines.xgboost", "hosts.background", "hosts.http", "oip.inference", "runtime.front"),
    *("sessions.store", "streaming"),
}
"""Modules of the toolkit for other models, or for what the settings do not ask for."""

PROGRAM = f"""
import json, os, sys
import awslambdaric.bootstrap, numpy, onnxruntime
before = set(sys.modules)

class Context:
    aws_request_id = {Context.aws_request_id!r}

    def get_remaining_time_in_millis(self):
        return 30_000

from serving.hosts.aws_lambda import handler
event = {{"httpMethod": "POST", "headers": {{"content-type": "text/csv"}}, "body": "1,2\\n"}}
reply = handler(event, Context())
print(json.dumps([reply["statusCode"], *sorted(set(sys.modules) - before)]))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What the host imports besides its client, the model's library and what those import."""
    folder = tmp_path_factory.mktemp("model")
    onnx.save(doubling(), folder / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"SERVING_MODEL": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    status, *names = json.loads(done.stdout.splitlines()[-1])
    assert status == 200
    return set(names)


def test_nothing_that_a_model_without_a_script_does_not_need(imported: set[str]) -> None:
    assert not imported & {*STANDARD, *LIBRARIES, *(f"serving.{name}" for name in OWN)}


def test_what_it_needs_is_among_them(imported: set[str]) -> None:
    assert {"serving.engines.onnx", "serving.hosts.alone", "serving.hosts.turns"} <= imported
