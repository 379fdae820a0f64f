"""Contract §3.3: servers in a pipeline, each on a port that SageMaker names."""

import json
from functools import cache
from pathlib import Path

import pytest

from tests.contract.cases import CSV, JSON, post
from tests.contract.places import Place
from tests.contract.scripts import script_model
from tests.support import Answer, Server, free_port

DOUBLING = """
def model_fn(model_dir):
    return 2

def predict_fn(rows, factor):
    return rows * factor
"""
ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"


@cache
def bound(_server: str) -> dict[str, str]:
    """What SageMaker tells one server of a pipeline: the same each time, so that tests share it."""
    port = free_port()
    return {
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_SAFE_PORT_RANGE": f"{port + 1}-{port + 10}",
    }


def through(servers: list[Server], body: bytes) -> Answer:
    """The last answer; each server gets the body and the Content-Type of the answer before."""
    answer = Answer(200, {"content-type": CSV}, body)
    for server in servers:
        answer = server.ask(post(answer.body, answer.headers["content-type"]))
        assert answer.status == 200, answer.body
    return answer


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return script_model(tmp_path_factory.mktemp("doubling") / "model", DOUBLING)


@pytest.mark.parametrize("between", [JSON, CSV])
def test_an_answer_is_the_next_servers_request(
    place: Place, models: dict[str, Path], doubling: Path, between: str
) -> None:
    first = place.serve(doubling, **bound(between), **{ACCEPT: between})
    second = place.serve(models["stump"], **bound("last"))
    assert through([first], b"0,5\n1,5").headers["content-type"] == between
    assert through([first, second], b"0,5\n1,5").body == b"1.0\n3.0\n"


def test_an_answer_whose_type_nobody_named_has_the_type_that_the_variable_names(
    place: Place, doubling: Path
) -> None:
    servers = [place.serve(doubling), place.serve(doubling, **{ACCEPT: CSV})]
    for accept in ("", "*/*"):
        answers = [server.ask(post(b"1,2", CSV, accept)) for server in servers]
        assert [answer.headers["content-type"] for answer in answers] == [JSON, CSV]
        assert [answer.body for answer in answers] == [b"[[2.0,4.0]]", b"2.0,4.0\n"]


def test_a_server_listens_on_the_port_that_is_named_and_on_no_other(
    place: Place, mirror: Path
) -> None:
    named = bound("alone")
    answer = place.serve(mirror, **named).ask(post(b'{"ports": true}', JSON))
    assert json.loads(answer.body)["ports"] == [int(named["SAGEMAKER_BIND_TO_PORT"])]
