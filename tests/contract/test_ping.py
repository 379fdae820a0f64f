"""Contract §1.2: /ping tells the truth, and soon enough for SageMaker."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from threading import Event

import pytest

from tests.contract.cases import get, post
from tests.contract.places import Place
from tests.contract.scripts import FRAGILE, Gate, script_model
from tests.support import Answer, Server, healthy

TIMEOUT = 2.0
"""What SageMaker waits for an answer to a ping, in seconds."""

SLOW = """
def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    return str(sum(number * number for number in range(200_000)))
"""
"""Keeps a CPU, and Python's lock, for some hundredths of a second."""


def message(answer: Answer) -> str:
    """What the answer to a ping says is wrong."""
    assert (answer.status, answer.headers["content-type"]) == (503, "application/json")
    return str(json.loads(answer.body)["message"])


def process_of(server: Server) -> int:
    """The process that answers requests."""
    return int(server.ask(post(b"", "text/plain")).body)


@pytest.fixture
def fragile(tmp_path: Path) -> Path:
    return script_model(tmp_path / "model", FRAGILE)


def test_a_loaded_model_is_a_200_with_an_empty_body(place: Place, models: dict[str, Path]) -> None:
    assert place.serve(models["onnx"]).ask(get("/ping"), TIMEOUT) == Answer(200, {}, b"")


def test_a_model_that_loads_is_no_200_until_it_is_loaded(place: Place, fragile: Path) -> None:
    loading = Gate(fragile, "loading")
    with place.start(fragile) as server:
        loading.reached()
        answer = server.wait_until(lambda answer: answer.status == 503)
        assert "loading" in message(answer)
        assert "loading" in message(server.ask(get("/ping"), TIMEOUT))
        loading.open()
        server.wait_until(healthy)


def test_a_model_that_failed_to_load_is_no_200_and_the_server_stays(
    place: Place, models: dict[str, Path]
) -> None:
    server = place.serve(models["broken"])
    assert "failed to load: xgboost-model is damaged" in message(server.ask(get("/ping"), TIMEOUT))
    assert server.ask(post(b"1,2", "text/csv")).status == 503
    assert server.ended() is None


def test_a_server_that_is_about_to_stop_is_no_200(place: Place, fragile: Path) -> None:
    gate = Gate(fragile)
    with ThreadPoolExecutor() as pool, place.start(fragile) as server:
        server.wait_until(healthy)
        begun = pool.submit(server.ask, post(b"wait", "text/plain"))
        gate.reached()
        server.terminate()
        answer = server.wait_until(lambda answer: answer.status == 503)
        assert "about to stop" in message(answer)
        gate.open()
        assert begun.result().status == 200


def break_by_waiting(server: Server) -> None:
    answer = server.ask(post(b"wait", "text/plain"))
    assert answer.status == 504


def break_by_losing_the_gpu(server: Server) -> None:
    answer = server.ask(post(b"lose the GPU", "text/plain"))
    assert answer.status == 500
    assert b"CUDA error" in answer.body


def break_by_leaving(server: Server) -> None:
    with pytest.raises((OSError, HTTPException)):
        server.ask(post(b"exit", "text/plain"))


@pytest.mark.parametrize("break_it", [break_by_waiting, break_by_losing_the_gpu, break_by_leaving])
def test_a_worker_that_can_answer_no_more_is_no_200_until_another_has_taken_its_place(
    place: Place, fragile: Path, break_it: Callable[[Server], None]
) -> None:
    loading, _never_opened = Gate(fragile, "loading"), Gate(fragile)
    with place.start(fragile, SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="1") as server:
        loading.open()
        server.wait_until(healthy)
        first = process_of(server)
        break_it(server)
        loading.reached()  # it is another's: each worker loads the model
        assert server.ask(get("/ping"), TIMEOUT).status == 503
        loading.open()
        server.wait_until(healthy)
        assert process_of(server) != first


def test_a_canary_that_is_not_answered_well_is_no_200_until_it_is(
    place: Place, fragile: Path
) -> None:
    (fragile / "canary.json").write_text("[1]")
    canary = {"SERVING_CANARY": "canary.json", "SERVING_CANARY_SECONDS": "0.1"}
    with place.start(fragile, **canary) as server:
        server.wait_until(healthy)
        (fragile / "ill").touch()
        answer = server.wait_until(lambda answer: answer.status == 503)
        assert "I am ill" in message(answer)
        (fragile / "ill").unlink()
        server.wait_until(healthy)


@contextmanager
def full_load(server: Server) -> Iterator[None]:
    """As many clients ask without pause as the server has ever work for."""
    over = Event()

    def ask() -> None:
        while not over.is_set():
            with suppress(OSError, HTTPException):
                server.ask(post(b"x", "text/plain"))

    with ThreadPoolExecutor(16) as pool:
        clients = [pool.submit(ask) for _ in range(16)]
        try:
            yield
        finally:
            over.set()
        for client in clients:
            client.result()


def test_a_ping_is_answered_in_time_under_full_load(place: Place, tmp_path: Path) -> None:
    server = place.serve(script_model(tmp_path / "model", SLOW))
    with full_load(server):
        for _ in range(20):
            assert server.ask(get("/ping"), TIMEOUT).status == 200
