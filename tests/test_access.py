"""The access log: a line a request, none for pings, and none at all unless it is asked for."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from serving import engines
from serving.application import Application
from serving.front import Front
from serving.model import Model
from serving.values import Request, Response
from tests.conftest import MakeSettings
from tests.support import PATIENCE, Fake, Recorder, get, post

Opened = Callable[..., AbstractAsyncContextManager[Front]]

STAGES = {"wait", "decode", "predict", "encode"}


@pytest.fixture
def opened(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Opened:
    """An application whose model is loaded."""

    @asynccontextmanager
    async def open_application(model: Model, **given: Any) -> AsyncIterator[Front]:
        monkeypatch.setattr(engines, "load", lambda *_: model)
        loop, settings = asyncio.get_running_loop(), make_settings(**{"access_log": True, **given})
        application = Application(settings, loop)
        front = Front(application, loop, settings)
        ready = asyncio.Event()
        application.load(tmp_path, lambda _: ready.set())
        try:
            await asyncio.wait_for(ready.wait(), PATIENCE)
            yield front
        finally:
            front.close()

    return open_application


async def ask(application: Front, request: Request) -> Response:
    reply = Recorder()
    application.handle(request, reply)
    return await reply.answer()


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The extra fields of the access log's records."""
    standard = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
    return [
        {name: value for name, value in vars(record).items() if name not in standard}
        for record in caplog.records
        if record.name == "serving.access"
    ]


@pytest.fixture(autouse=True)
def _written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_an_invocation_is_logged_with_its_facts_and_its_stages(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(Fake().model()) as application:
        request = post(b"1\n2", x_amzn_sagemaker_inference_id="order-7")
        assert (await ask(application, request)).body == b"2\n4\n"

    (line,) = lines(caplog)
    seconds = line.pop("seconds")
    stages = {name: line.pop(name) for name in STAGES}
    assert all(0 <= value <= seconds for value in stages.values())
    assert line == {
        "request_id": "order-7",
        "method": "POST",
        "path": "/invocations",
        "model": "model",
        "status": 200,
        "bytes_in": 3,
        "bytes_out": 4,
    }


async def test_what_never_reached_the_model_has_no_stages(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(Fake().model()) as application:
        await ask(application, post(b"one"))
        await ask(application, get("/nothing\nhere"))

    refused, unknown = lines(caplog)
    assert (refused["status"], refused["model"]) == (400, "model")
    assert (unknown["status"], unknown["path"]) == (404, "/nothing\nhere")
    assert "model" not in unknown
    assert not (refused.keys() | unknown.keys()) & STAGES
    assert refused["request_id"] != unknown["request_id"]


async def test_an_error_is_logged_with_the_same_name(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(Fake().model()) as application:
        assert (await ask(application, post(b"-1"))).status == 500

    (line,) = lines(caplog)
    (error,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert vars(error)["request_id"] == line["request_id"]


async def test_a_long_path_is_cut(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(Fake().model()) as application:
        await ask(application, get("/" + "x" * 5000))

    (line,) = lines(caplog)
    assert line["path"] == "/" + "x" * 255


async def test_a_stream_is_logged_when_it_begins_without_its_length(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"1"

    model = Fake().model("encode", encode=lambda *_: Response(200, chunks()))
    async with opened(model) as application:
        await ask(application, post(b"1"))

    (line,) = lines(caplog)
    assert line["status"] == 200
    assert "bytes_out" not in line


async def test_pings_are_not_logged(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(Fake().model()) as application:
        assert (await ask(application, get("/ping"))).status == 200

    assert lines(caplog) == []


async def test_nothing_is_logged_unless_it_is_asked_for(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(Fake().model(), access_log=False) as application:
        assert (await ask(application, post(b"1"))).status == 200

    assert lines(caplog) == []


async def test_nothing_is_echoed_by_itself(opened: Opened) -> None:
    async with opened(Fake().model()) as application:
        assert (await ask(application, post(b"1", x_request_id="a"))).headers == ()


async def test_a_client_that_has_gone_is_known_to_have(opened: Opened) -> None:
    fake = Fake(held=True)
    async with opened(fake.model("predict")) as application:
        first, second = Recorder(), Recorder()
        application.handle(post(b"1"), first)
        await asyncio.to_thread(fake.began)
        application.handle(post(b"2"), second)
        second.gone = True
        fake.release()
        await first.answer()
        last = Recorder()
        application.handle(post(b"3"), last)
        fake.release()
        await last.answer()
    assert fake.calls == [[1.0], [3.0]]
    assert second.answers == []
