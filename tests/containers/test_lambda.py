"""The image under AWS's own emulator of Lambda, and one image three ways."""

import json
from pathlib import Path

import pytest

from serving.values import Request
from tests.containers.docker import Docker, Starter
from tests.containers.emulator import RUNTIME_CLIENT, SERVE, emulate, invoke
from tests.containers.examples import LINES, NAME, InProcess, Trained
from tests.hosts.aws_lambda.shapes import SHAPES, Shape, answer, rest_api

pytestmark = pytest.mark.container

SCRIPT = """\
import threading

def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    if body == b"hold":
        threading.Event().wait()
    if body == b"large":
        return "1" * 7_000_000, "text/plain"
    return body.upper(), "text/plain"
"""


def samples() -> list[Request]:
    """Requests that are answered well, and some that are refused."""
    rows = LINES.read_bytes()
    csv = {"content-type": "text/csv"}
    return [
        Request("GET", "/ping", {}, b""),
        Request("POST", "/invocations", csv, rows),
        Request("POST", "/invocations", {**csv, "accept": "application/json"}, rows),
        Request("POST", "/invocations", {**csv, "accept": "application/x-npy"}, rows),
        Request("POST", "/invocations", {"content-type": "image/png"}, b"\x89PNG"),
        Request("POST", "/invocations", csv, b"no,numbers"),
        Request("GET", "/nowhere", {}, b""),
    ]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("script")
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text(SCRIPT)
    for path in (folder, folder / "code"):
        path.chmod(0o755)  # it is read by another user in the container
    return folder


def text(body: str) -> dict[str, object]:
    return {"httpMethod": "POST", "headers": {"content-type": "text/plain"}, "body": body}


def test_one_image_answers_the_same_on_a_server_in_sagemaker_and_on_lambda(
    docker: Docker, image: str, start: Starter, trained: Trained, in_process: InProcess
) -> None:
    model = trained(NAME)
    locked_down = ("--read-only", "--tmpfs", "/tmp", "--user", "1000")
    server = start(image, model, *locked_down, port=8080, command="")
    sagemaker = start(image, model, command="serve")
    function = emulate(start, image, model)
    identities = {docker.inspect(each.name)["Image"] for each in (server, sagemaker, function)}
    assert identities == {docker.inspect(image)["Id"]}

    server.wait_for_ping(200)
    sagemaker.wait_for_ping(200)
    for request in samples():
        expected = server.ask(request)
        assert sagemaker.ask(request) == expected
        assert answer(invoke(function, rest_api(request))) == expected
        assert expected.body == in_process(model, request).body
    assert docker.inspect(function.name)["Config"]["User"] == "993"


@pytest.mark.parametrize("command", [SERVE, RUNTIME_CLIENT], ids=["serve", "runtime client"])
def test_each_shape_of_event_has_the_same_answer_under_the_emulator(
    image: str, start: Starter, trained: Trained, in_process: InProcess, command: str
) -> None:
    model = trained(NAME)
    function = emulate(start, image, model, command=command)
    _, request, *_ = samples()
    expected = in_process(model, request)
    answers: dict[str, Shape] = dict(SHAPES)
    for name, shape in answers.items():
        assert answer(invoke(function, shape(request))) == expected, name


def test_a_direct_invocation_returns_the_answer_or_fails(
    image: str, start: Starter, trained: Trained
) -> None:
    function = emulate(start, image, trained(NAME))
    rows = [[float(cell) for cell in line.split(",")] for line in _lines()]
    found = invoke(function, rows)
    assert len(found["predictions"]) == len(rows)
    failed = invoke(function, [[1.0]])
    assert failed["errorType"] == "DecodeError"
    assert failed["errorMessage"].startswith("400: ")
    assert failed["stackTrace"] == []


def _lines() -> list[str]:
    return LINES.read_text().splitlines()


def test_the_model_is_loaded_once_in_the_init_phase(
    image: str, start: Starter, trained: Trained
) -> None:
    function = emulate(start, image, trained(NAME), "--env", "AWS_LAMBDA_LOG_FORMAT=JSON")
    for _ in range(3):
        assert answer(invoke(function, {"httpMethod": "GET", "path": "/ping"})).status == 200
    log = function.log
    assert log.count('"serving /opt/ml/model"') == 1
    assert log.index("ready after") < log.index("INIT RTDONE(status: success)")


def test_a_model_that_cannot_be_loaded_is_an_error_of_the_init_phase(
    image: str, start: Starter, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    failed = invoke(emulate(start, image, tmp_path), [[1]])
    assert failed["errorType"] == "ModelLoadError"
    assert "/opt/ml/model has no model this server knows" in failed["errorMessage"]
    assert failed["stackTrace"] == []


def test_an_answer_comes_before_lambda_ends_the_invocation(
    image: str, start: Starter, script: Path
) -> None:
    function = emulate(start, image, script, "--env", "AWS_LAMBDA_FUNCTION_TIMEOUT=3")
    assert answer(invoke(function, text("first"))).body == b"FIRST"
    late = answer(invoke(function, text("hold")))
    assert (late.status, json.loads(late.body)["type"]) == (504, "DeadlineExceeded")


def test_an_answer_that_lambda_would_not_take_is_413(
    image: str, start: Starter, script: Path
) -> None:
    large = answer(invoke(emulate(start, image, script), text("large")))
    assert large.status == 413
    assert "Ask for fewer rows" in json.loads(large.body)["message"]
