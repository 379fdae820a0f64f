"""What stands around the Open Inference Protocol: keys, logs, other processes, the index."""

import asyncio
import logging
from pathlib import Path

import orjson
import pytest

from serving import problems
from serving.application import Application
from serving.auth import refusals
from serving.errors import BadRequest, MissingCredentials
from serving.front import Front
from serving.processes import messages
from serving.values import Request, Response
from tests.conftest import MakeSettings
from tests.models import stump
from tests.support import PATIENCE, Recorder, get, post

INFER = "/v2/models/model/infer"


def told(response: Response) -> object:
    assert isinstance(response.body, bytes)
    return orjson.loads(response.body)


def test_an_error_is_told_as_the_request_expects() -> None:
    error = BadRequest("No.")
    assert told(problems.response(error, get(INFER))) == {"error": "No."}
    bare = {"code": 400, "type": "BadRequest", "message": "No."}
    assert told(problems.response(error, post())) == bare
    assert told(problems.response(error)) == bare


def test_who_has_no_key_is_told_so_with_the_challenge() -> None:
    refusal = refusals.response(MissingCredentials("Who?"), get(INFER), "invoke")
    assert (refusal.status, told(refusal)) == (401, {"error": "Who?"})
    assert "www-authenticate" in dict(refusal.headers)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_models_own_process_gets_the_path(method: str) -> None:
    request = Request(method, INFER, {"a": "b"}, b"{}", "q", 5.0)
    assert messages.read_request(messages.write_request(request), b"{}") == request


def test_any_other_path_becomes_that_of_an_invocation_there() -> None:
    request = Request("POST", "/models/a/invoke", {}, b"1")
    read = messages.read_request(messages.write_request(request), b"1")
    assert (read.method, read.path) == ("POST", "/invocations")


async def test_the_access_log_names_the_model_and_leaves_out_health(
    make_settings: MakeSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "serving.access")
    stump().save_model(tmp_path / "model.json")
    asked = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 2], "data": [0, 5]}]}

    loop, settled = asyncio.get_running_loop(), asyncio.Event()
    settings = make_settings(access_log=True, model_name="churn")
    application = Application(settings, loop)
    front = Front(application, loop, settings)
    application.load(tmp_path, lambda _: settled.set())
    await asyncio.wait_for(settled.wait(), PATIENCE)
    for request in (
        get("/v2/health/live"),
        get("/v2/health/ready"),
        get("/v2/models/churn/ready"),
        Request("POST", "/v2/models/churn/infer", {}, orjson.dumps(asked)),
    ):
        reply = Recorder()
        front.handle(request, reply)
        assert (await reply.answer()).status == 200
    front.close()

    logged = [vars(record) for record in caplog.records if record.name == "serving.access"]
    assert [(line["path"], line["model"]) for line in logged] == [
        ("/v2/models/churn/ready", "churn"),
        ("/v2/models/churn/infer", "churn"),
    ]
    assert {"wait", "decode", "predict", "encode"} <= logged[1].keys()


async def test_the_server_is_not_ready_while_it_drains_but_lives(
    make_settings: MakeSettings,
) -> None:
    application = Application(make_settings(), asyncio.get_running_loop())
    application.drain()
    answers = {}
    for path in ("/v2/health/live", "/v2/health/ready", "/ping"):
        reply = Recorder()
        application.handle(get(path), reply)
        answers[path] = (await reply.answer()).status
    assert answers == {"/v2/health/live": 200, "/v2/health/ready": 503, "/ping": 503}
    application.close()


async def test_the_index_says_why_a_model_cannot_answer(make_settings: MakeSettings) -> None:
    application = Application(make_settings(), asyncio.get_running_loop())
    reply = Recorder()
    application.handle(Request("POST", "/v2/repository/index", {}, b""), reply)
    assert told(await reply.answer()) == [
        {
            "name": "model",
            "version": "1",
            "state": "UNAVAILABLE",
            "reason": "The server starts.",
        }
    ]
    application.close()
