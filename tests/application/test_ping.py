"""What /ping says of the model."""

import asyncio
import threading
from pathlib import Path

import pytest

from serving import engines
from serving.application import Application
from serving.entry import State
from serving.errors import ModelLoadError
from serving.model import Model
from serving.values import Request, Response
from tests.application.support import FOLDER, Opened, at_once, problem, send
from tests.conftest import MakeSettings
from tests.support import PATIENCE, Fake, get, post


class TestPing:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_it_is_good_when_the_model_is_ready(self, opened: Opened, method: str) -> None:
        async with opened(Fake().model()) as application:
            ping = Request(method, "/ping", {}, b"")
            assert at_once(application, ping) == Response(200)

    async def test_it_says_what_is_missing_while_the_model_loads(
        self, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = threading.Event()

        def load(_folder: Path, _settings: object) -> Model:
            assert gate.wait(PATIENCE)
            return Fake().model()

        monkeypatch.setattr(engines, "load", load)

        loop = asyncio.get_running_loop()
        application = Application(make_settings(), loop)
        loaded = asyncio.Event()
        application.load(FOLDER, lambda _: loaded.set())
        for request in (get("/ping"), post(b"1"), post()):
            assert problem(at_once(application, request)) == (
                503,
                "ModelNotReady",
                "The model is loading from /models/one.",
            )
        gate.set()
        await asyncio.wait_for(loaded.wait(), PATIENCE)
        assert at_once(application, get("/ping")).status == 200
        application.close()

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (ModelLoadError("The file is cut."), "The file is cut."),
            (KeyError("layer"), "KeyError: 'layer'"),
        ],
    )
    async def test_it_says_why_the_model_failed_to_load(
        self, opened: Opened, error: Exception, reason: str
    ) -> None:
        async with opened(error) as application:
            for request in (get("/ping"), post(b"1")):
                assert problem(at_once(application, request)) == (
                    503,
                    "ModelNotReady",
                    f"The model failed to load: {reason}",
                )

    async def test_it_is_bad_while_draining_and_what_was_begun_is_finished(
        self, opened: Opened
    ) -> None:
        fake = Fake(held=True)
        async with opened(fake.model()) as application:
            begun = send(application, post(b"1"))
            fake.began()
            application.drain()
            assert problem(at_once(application, get("/ping")))[:2] == (503, "Draining")
            late = send(application, post(b"2"))  # its client could not know
            fake.release(2)
            assert (await begun.answer()).body == b"2\n"
            assert (await late.answer()).body == b"4\n"

    async def test_it_is_bad_once_a_prediction_hangs(self, opened: Opened) -> None:
        fake = Fake(held=True)
        states: asyncio.Queue[State] = asyncio.Queue()
        settings = {"changed": states.put_nowait, "request_timeout": 0.02}
        async with opened(fake.model(), **settings) as application:
            stuck = send(application, post(b"1"))
            fake.began()
            assert await asyncio.wait_for(states.get(), PATIENCE) is State.READY
            assert await asyncio.wait_for(states.get(), PATIENCE) is State.BROKEN
            status, kind, message = problem(at_once(application, get("/ping")))
            assert (status, kind) == (503, "ModelNotReady")
            assert "did not return within 0.02 s" in message
            fake.release()
            assert (await stuck.answer()).body == b"2\n"
