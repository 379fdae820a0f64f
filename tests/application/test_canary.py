"""An application asks its own model a stored request."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from serving import engines
from serving.application import Application
from serving.canary import Canary
from serving.entry import State
from serving.errors import ModelLoadError, SettingError
from serving.values import Payload, Prediction
from tests.application.support import FOLDER, Opened, at_once, problem
from tests.conftest import MakeSettings
from tests.support import Fake, get


class Moody(Fake):
    """Fails the calls whose numbers it is given, the first being 1."""

    def __init__(self, *bad: int) -> None:
        super().__init__(held=True)
        self._bad = bad

    def predict(self, payload: Payload) -> Prediction:
        prediction = super().predict(payload)
        if len(self.calls) in self._bad:
            raise self.failure
        return prediction


class TestCanary:
    @pytest.fixture
    def sample(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        """A stored request, which is asked again at once when it was answered."""

        def restless(*args: Any, **kwargs: Any) -> Canary:
            return Canary(*args, **{**kwargs, "interval": 0.0})

        monkeypatch.setattr("serving.single.Canary", restless)
        (tmp_path / "sample.csv").write_bytes(b"7")
        return str(tmp_path / "sample.csv")

    async def test_a_model_is_ready_when_its_canary_was_answered(
        self, opened: Opened, sample: str
    ) -> None:
        fake, heard = Moody(1), list[State]()
        fake.release(2)
        given = {"canary": sample, "changed": heard.append}
        async with opened(fake.model("predict"), **given) as application:
            assert at_once(application, get("/ping")).status == 200
            assert heard == [State.READY]
            assert fake.calls[:2] == [[7.0], [7.0]]
            fake.release(9)

    async def test_ping_says_what_the_last_answer_was(self, opened: Opened, sample: str) -> None:
        fake, heard = Moody(2), list[State]()
        fake.release()
        given = {"canary": sample, "changed": heard.append}
        async with opened(fake.model("predict"), **given) as application:
            await asyncio.to_thread(fake.began)  # the first call, which was good
            await asyncio.to_thread(fake.began)
            assert at_once(application, get("/ping")).status == 200
            fake.release()
            await asyncio.to_thread(fake.began)  # so the second is judged
            status, _, message = problem(at_once(application, get("/ping")))
            assert status == 503
            assert message.startswith("The canary is answered 500: ")
            fake.release()
            await asyncio.to_thread(fake.began)
            assert at_once(application, get("/ping")).status == 200
            assert heard == [State.READY]
            fake.release(9)

    async def test_ping_is_bad_before_the_first_answer(
        self, make_settings: MakeSettings, sample: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake, heard = Fake(held=True), list[State]()
        monkeypatch.setattr(engines, "load", lambda *_: fake.model("predict"))
        settings = make_settings(canary=sample)
        application = Application(settings, asyncio.get_running_loop())
        application.load(FOLDER, lambda entry: heard.append(entry.state))
        await asyncio.to_thread(fake.began)
        status, _, message = problem(at_once(application, get("/ping")))
        assert (status, heard) == (503, [])
        assert message == "The model is loaded; its canary is not answered yet."
        application.close()
        fake.release(9)

    async def test_a_model_that_fails_to_load_is_not_asked(
        self, opened: Opened, sample: str
    ) -> None:
        async with opened(ModelLoadError("It is cut."), canary=sample) as application:
            _, _, message = problem(at_once(application, get("/ping")))
            assert "It is cut." in message

    async def test_a_server_that_is_about_to_stop_is_not_asked(
        self, opened: Opened, tmp_path: Path
    ) -> None:
        (tmp_path / "sample.csv").write_bytes(b"7")
        fake = Fake()
        given = {"canary": str(tmp_path / "sample.csv")}
        async with opened(fake.model("predict"), **given) as application:
            canary = application._single._canary
            assert canary is not None
            canary._begin()
            assert canary._trial is not None
            assert not canary._trial.gone
            application.drain()
            assert canary._trial.gone

    async def test_one_that_cannot_be_read_is_the_operators_error(
        self, make_settings: MakeSettings
    ) -> None:
        settings = make_settings(canary="gone.csv")
        application = Application(settings, asyncio.get_running_loop())
        with pytest.raises(SettingError, match=r"SERVING_CANARY='gone\.csv' cannot be read"):
            application.load(FOLDER, lambda _: None)
        application.close()
