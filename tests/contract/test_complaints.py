"""Contract §9: what users of AWS's toolkits complain about does not happen here.

The numbers are those of the complaints. Where a rule elsewhere is about the same, more is tested
there: 1 in test_ping.py, 4 in test_invocations.py, 5 in test_headers.py, 12 in test_pipeline.py, 15
in test_batch.py, 16 in test_metrics.py. The sixth needs a container with fewer CPUs than its host:
see containers/test_cpu_image.py.
"""

import json
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.contract.cases import ATTRIBUTES, CSV, JSON, get, post
from tests.contract.places import Place
from tests.contract.scripts import FRAGILE, STACKABLE, STREAMING, Gate, script_model
from tests.support import Answer, Server, healthy
from tests.wheels import make_wheel

CONTEXT = """
import json

NAME = "X-Amzn-SageMaker-Custom-Attributes"

def model_fn(model_dir):
    return None

def input_fn(data, content_type, context):
    return [context.get_request_header(0, NAME)]

def predict_fn(data, model, context):
    return [*data, context.get_request_header(0, NAME)]

def output_fn(data, accept, context):
    return json.dumps([*data, context.get_request_header(0, NAME)])
"""
NEEDY = """
import brought_along

def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    return brought_along.VERSION
"""
WRONG = """
def model_fn(model_dir):
    return None

def transform_fn(model, data):
    return data
"""
FAILING = """
def model_fn(model_dir):
    raise OSError("no weights")
"""
STILLBORN = """
import os

def model_fn(model_dir):
    os._exit(1)
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Makes a model of a script."""
    return lambda source: script_model(tmp_path / "model", source)


def calls_of(server: Server, gate: Gate, requests: int) -> list[int]:
    """The rows of each call of the model, for requests of one row that come while it is busy."""

    def waiting(_: Answer) -> bool:
        return f"serving_queue_depth {requests}.0" in server.ask(get("/metrics")).body.decode()

    with ThreadPoolExecutor(requests + 1) as pool:

        def ask(row: bytes) -> Future[Answer]:
            return pool.submit(server.ask, post(row, CSV, CSV))

        asked = [ask(b"-1")]
        gate.reached()
        asked += [ask(b"%d" % number) for number in range(requests)]
        server.wait_until(waiting)
        gate.open()
        answers = [float(answer.result().body) for answer in asked]
    assert answers == [-2, *(2 * number for number in range(requests))]
    _, calls = server.log.split("called with 1 rows", 1)  # the one that made the others wait
    return [int(rows) for rows in re.findall(r"called with (\d+) rows", calls)]


def test_1_a_model_that_failed_to_load_is_not_healthy(place: Place, write: Write) -> None:
    server = place.serve(write(FAILING))
    for request in (get("/ping"), post(b"1,2", CSV)):
        answer = server.ask(request)
        assert answer.status == 503
        assert b"model_fn failed at inference.py, line 3: OSError: no weights" in answer.body


def test_3_requests_that_wait_are_one_call_of_the_model(place: Place, write: Write) -> None:
    folder = write(STACKABLE)
    gate = Gate(folder)
    with place.start(folder) as server:
        server.wait_until(healthy)
        assert calls_of(server, gate, 5) == [5]


def test_4_an_answer_can_be_streamed(place: Place, write: Write) -> None:
    server = place.serve(write(STREAMING))
    assert server.ask(post(b"", "text/plain")).body == b"first last"


def test_5_the_custom_attributes_reach_each_function(place: Place, write: Write) -> None:
    server = place.serve(write(CONTEXT))
    for attributes in ("a=1", "b=2"):
        answer = server.ask(post(b"1", CSV, **{ATTRIBUTES: attributes}))
        assert json.loads(answer.body) == [attributes] * 3


def test_9_a_time_limit_is_in_seconds(place: Place, write: Write) -> None:
    folder = write(FRAGILE)
    _never_opened = Gate(folder)
    with place.start(folder, SAGEMAKER_MODEL_SERVER_TIMEOUT="1") as server:
        server.wait_until(healthy)
        # In half a minute the client would leave.
        assert server.ask(post(b"wait", "text/plain"), timeout=30).status == 504


def test_10_an_error_of_the_users_code_is_told_with_its_own_status_if_it_has_one(
    place: Place, models: dict[str, Path]
) -> None:
    server = place.serve(models["script"])
    answers = [server.ask(post(b"1 x", kind)) for kind in ("image/png", "text/x-numbers")]
    told = [json.loads(answer.body) for answer in answers]
    assert told[0] == {"code": 415, "type": "WrongType", "message": "Send numbers."}
    assert (told[1]["code"], answers[1].status) == (500, 500)
    assert told[1]["message"].startswith("input_fn failed: ValueError: invalid literal")
    assert b"Traceback" not in answers[1].body


@pytest.mark.parametrize(
    "body", [b"[[0, 5], [2, 5]]", b'{"instances": [{"features": [0, 5]}, {"features": [2, 5]}]}']
)
def test_12_an_xgboost_model_reads_json(place: Place, models: dict[str, Path], body: bytes) -> None:
    assert place.serve(models["stump"]).ask(post(body, JSON)).body == b"1.0\n3.0\n"


def test_14_requirements_that_cannot_be_installed_end_the_server_and_say_which(
    place: Place, write: Write
) -> None:
    folder = write(NEEDY)
    make_wheel(folder / "code" / "requirements", "brought_along", "1.0")
    (folder / "code" / "requirements.txt").write_text("brought_along>=2\n")
    ended = place.fails(folder)
    assert ended.status not in (0, None)
    last = ended.log.splitlines()[-1]
    assert last.startswith("serving: The requirements in requirements.txt cannot be installed")
    assert "brought_along>=2" in last


def test_14_requirements_come_from_the_models_own_wheels(place: Place, write: Write) -> None:
    folder = write(NEEDY)
    make_wheel(folder / "code" / "requirements", "brought_along", "1.0")
    (folder / "code" / "requirements.txt").write_text("brought_along\n")
    assert place.serve(folder).ask(post(b"", "text/plain")).body == b"1.0"


def test_15_the_rows_of_a_call_can_be_limited(place: Place, write: Write) -> None:
    folder = write(STACKABLE)
    gate = Gate(folder)
    with place.start(folder, SAGEMAKER_TS_BATCH_SIZE="2") as server:
        server.wait_until(healthy)
        assert calls_of(server, gate, 5) == [2, 2, 1]


def test_16_the_memory_of_the_workers_is_told(place: Place, models: dict[str, Path]) -> None:
    lines = place.serve(models["onnx"]).ask(get("/metrics")).body.decode().splitlines()
    (memory,) = (line for line in lines if line.startswith("serving_memory_bytes "))
    assert 10_000_000 < float(memory.split()[1]) < 10_000_000_000


def test_17_a_function_with_other_arguments_is_told_what_it_gets(
    place: Place, write: Write
) -> None:
    answer = place.serve(write(WRONG)).ask(get("/ping"))
    assert answer.status == 503
    message = json.loads(answer.body)["message"]
    assert "transform_fn(model, data)" in message
    assert "(model, input_data, content_type, accept, context)" in message


def test_19_a_worker_answers_others_while_an_answer_is_streamed(place: Place, write: Write) -> None:
    folder = write(STREAMING)
    gate = Gate(folder)
    with ThreadPoolExecutor() as pool, place.start(folder) as server:
        server.wait_until(healthy)
        waiting = pool.submit(server.ask, post(b"wait", "text/plain"))
        gate.reached()
        assert server.ask(post(b"", "text/plain")).body == b"first last"
        gate.open("second ")
        assert waiting.result().body == b"first second last"


def test_20_a_worker_that_dies_is_replaced_each_time(place: Place, write: Write) -> None:
    server = place.serve(write(FRAGILE))
    for _ in range(3):
        with pytest.raises((OSError, HTTPException)):
            server.ask(post(b"exit", "text/plain"))
        server.wait_until(healthy)
    assert server.ask(post(b"", "text/plain")).status == 200


def test_20_workers_that_die_while_they_load_end_the_server(place: Place, write: Write) -> None:
    ended = place.fails(write(STILLBORN))
    assert ended.status == 1
    assert "A worker ended while it loaded the model." in ended.log


@pytest.mark.parametrize("row", [b"1", b"1,2,3"])
def test_20_a_row_of_another_width_is_the_clients_error_and_harms_nobody(
    place: Place, models: dict[str, Path], row: bytes
) -> None:
    server = place.serve(models["onnx"])
    answer = server.ask(post(row, CSV))
    assert answer.status == 400
    assert server.ask(post(b"1,2", CSV)).status == 200
