"""The core's front: routes, negotiation, statuses, and where the work is done."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import engines
from serving.application import Application
from serving.canary import Canary
from serving.entry import Entry, State
from serving.errors import ModelLoadError, SettingError
from serving.model import Model
from serving.service import INLINE_BODY
from serving.settings import MIB
from serving.values import Payload, Prediction, Request, Response
from tests.conftest import MakeSettings
from tests.support import PATIENCE, Fake, Recorder, Run, get, post

FOLDER = Path("/models/one")
SAMPLE = {"sample": np.ones((1, 1)), "merge_key": ""}
"""Facts that let the warm-up find out that a fake model is cheap."""

Opened = Callable[..., AbstractAsyncContextManager[Application]]


@pytest.fixture
def opened(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """An application whose model is loaded, or has failed to load."""

    @asynccontextmanager
    async def open_application(
        outcome: Model | BaseException,
        changed: Callable[[State], None] = lambda _: None,
        **given: Any,
    ) -> AsyncIterator[Application]:
        def load(_folder: Path, _settings: object) -> Model:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(engines, "load", load)
        loop = asyncio.get_running_loop()
        application = Application(make_settings(**given), loop)
        settled = asyncio.Event()

        def change(entry: Entry) -> None:
            settled.set()
            changed(entry.state)

        application.load(FOLDER, change)
        try:
            await asyncio.wait_for(settled.wait(), PATIENCE)
            yield application
        finally:
            application.close()

    return open_application


def send(application: Application, request: Request) -> Recorder:
    reply = Recorder()
    application.handle(request, reply)
    return reply


def ask(application: Application, request: Request) -> Awaitable[Response]:
    return send(application, request).answer()


def at_once(application: Application, request: Request) -> Response:
    """The answer, which is there before the call returns."""
    (answer,) = send(application, request).answers
    return answer


def problem(response: Response) -> tuple[int, str, str]:
    """Status, type and message of a refusal."""
    assert isinstance(response.body, bytes)
    assert response.content_type == "application/json"
    body = json.loads(response.body)
    assert body["code"] == response.status
    return response.status, body["type"], body["message"]


def test_an_invocation_is_answered_in_the_default_type(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        async with opened(Fake().model(**SAMPLE)) as application:
            answer = await ask(application, post(b"1\n2"))
            assert answer == Response(200, b"2\n4\n", "text/plain")

    run(scenario())


def test_the_type_is_the_one_that_accept_prefers(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        async with opened(Fake().model()) as application:
            answer = await ask(application, post(b"1", accept="text/plain;q=0.5, text/csv"))
            assert answer.content_type == "text/csv"

    run(scenario())


def test_a_script_that_decides_gets_accept_as_it_came(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        async with opened(Fake().model("encode", writes=())) as application:
            answer = await ask(application, post(b"1", accept="image/png, */*;q=2"))
            assert answer.content_type == "image/png, */*;q=2"
            assert (await ask(application, post(b"1"))).content_type == ""

    run(scenario())


@pytest.mark.parametrize("path", ["/", "/ping/", "/invocation", "/PING", "", "/ping?x", "//ping"])
def test_other_paths_are_not_found_and_those_there_are_are_named(
    run: Run, opened: Opened, path: str
) -> None:
    async def scenario() -> None:
        async with opened(Fake().model()) as application:
            status, kind, message = problem(at_once(application, get(path)))
            assert (status, kind) == (404, "NotFound")
            assert repr(path) in message
            assert all(known in message for known in application.paths)

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/invocations", "POST"),
        ("PUT", "/invocations", "POST"),
        ("POST", "/ping", "GET, HEAD"),
        ("post", "/invocations", "POST"),
        ("POST", "/execution-parameters", "GET"),
    ],
)
def test_other_methods_are_not_allowed_and_those_that_are_are_named(
    run: Run, opened: Opened, method: str, path: str, allowed: str
) -> None:
    async def scenario() -> None:
        async with opened(Fake().model()) as application:
            answer = at_once(application, Request(method, path, {}, b""))
            assert problem(answer)[:2] == (405, "MethodNotAllowed")
            assert answer.headers == (("allow", allowed),)

    run(scenario())


def test_an_empty_body_is_answered_with_nothing(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model()) as application:
            empty = post(accept="image/png", content_type="nonsense")
            assert at_once(application, empty) == Response(204)
            assert fake.threads == {}

    run(scenario())


def test_an_empty_body_is_the_scripts_to_judge(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()

        def decode(_request: Request) -> Payload:
            return fake.decode(post(b"7"))

        async with opened(fake.model("decode", decode=decode)) as application:
            assert (await ask(application, post())).body == b"14\n"

    run(scenario())


@pytest.mark.parametrize(
    ("request_", "status"),
    [(post(b"1", accept="image/png"), 406), (post(b"one"), 400), (post(b"1", accept="*;q=x"), 406)],
)
def test_what_is_refused_costs_no_inference(
    run: Run, opened: Opened, request_: Request, status: int
) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model()) as application:
            assert at_once(application, request_).status == status
            assert fake.calls == []

    run(scenario())


def test_an_unexpected_error_is_in_the_log_and_not_in_the_answer(
    run: Run, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        fake = Fake()
        fake.failure = ZeroDivisionError("the secret")
        async with opened(fake.model()) as application:
            answer = await ask(application, post(b"-1"))
            assert problem(answer) == (
                500,
                "PredictionError",
                "The server failed with ZeroDivisionError; see its log.",
            )

    run(scenario())
    assert "Traceback" in caplog.text
    assert "the secret" in caplog.text


@pytest.mark.parametrize("failure", [RuntimeError(), SystemExit(1), MemoryError()])
def test_an_error_in_decode_is_an_answer_too(
    run: Run, opened: Opened, failure: BaseException
) -> None:
    def decode(_request: Request) -> Payload:
        raise failure

    async def scenario() -> None:
        for foreign in ((), ("decode",)):
            async with opened(Fake().model(*foreign, decode=decode)) as application:
                for body in (b"1", b"1\n" * INLINE_BODY):
                    assert (await ask(application, post(body))).status == 500

    run(scenario())


def test_small_bodies_are_decoded_on_the_loop(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model(**SAMPLE)) as application:
            await ask(application, post(b"1" * INLINE_BODY))
            assert fake.threads["decode"] == threading.get_ident()

    run(scenario())


def test_large_bodies_are_decoded_in_a_thread(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model(**SAMPLE)) as application:
            body = b"1\n" * INLINE_BODY
            answer = await ask(application, post(body))
            assert answer.body == b"2\n" * INLINE_BODY
            assert fake.threads["decode"] != threading.get_ident()
            refused = await ask(application, post(body + b"x"))
            assert problem(refused)[:2] == (400, "BadRequest")

    run(scenario())


def test_a_users_decode_runs_where_the_model_runs(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model("decode", **SAMPLE)) as application:
            assert (await ask(application, post(b"1"))).body == b"2\n"
            assert fake.threads["decode"] == fake.threads["predict"] != threading.get_ident()

    run(scenario())


def test_a_full_queue_is_answered_with_a_time_to_come_back(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake(held=True)
        async with opened(fake.model(), max_queue=1) as application:
            first = send(application, post(b"1"))
            fake.began()
            second = send(application, post(b"2"))
            large = await ask(application, post(b"1\n" * INLINE_BODY))
            for refused in (at_once(application, post(b"3")), large):
                assert problem(refused)[:2] == (503, "Overloaded")
                ((name, seconds),) = refused.headers
                assert name == "retry-after"
                assert int(seconds) > 0
            fake.release(2)
            assert [(await reply.answer()).body for reply in (first, second)] == [b"2\n", b"4\n"]

    run(scenario())


class TestPing:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_it_is_good_when_the_model_is_ready(
        self, run: Run, opened: Opened, method: str
    ) -> None:
        async def scenario() -> None:
            async with opened(Fake().model()) as application:
                ping = Request(method, "/ping", {}, b"")
                assert at_once(application, ping) == Response(200)

        run(scenario())

    def test_it_says_what_is_missing_while_the_model_loads(
        self, run: Run, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = threading.Event()

        def load(_folder: Path, _settings: object) -> Model:
            assert gate.wait(PATIENCE)
            return Fake().model()

        async def scenario() -> None:
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

        monkeypatch.setattr(engines, "load", load)
        run(scenario())

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (ModelLoadError("The file is cut."), "The file is cut."),
            (KeyError("layer"), "KeyError: 'layer'"),
        ],
    )
    def test_it_says_why_the_model_failed_to_load(
        self, run: Run, opened: Opened, error: Exception, reason: str
    ) -> None:
        async def scenario() -> None:
            async with opened(error) as application:
                for request in (get("/ping"), post(b"1")):
                    assert problem(at_once(application, request)) == (
                        503,
                        "ModelNotReady",
                        f"The model failed to load: {reason}",
                    )

        run(scenario())

    def test_it_is_bad_while_draining_and_what_was_begun_is_finished(
        self, run: Run, opened: Opened
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_it_is_bad_once_a_prediction_hangs(self, run: Run, opened: Opened) -> None:
        async def scenario() -> None:
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

        run(scenario())


class TestExecutionParameters:
    """What batch transform is told."""

    @pytest.mark.parametrize(
        ("workers", "max_body", "transforms", "payload"),
        [
            (1, 25 * MIB, 1, 25),
            (4, 25 * MIB, 4, 25),
            (8, 25 * MIB, 8, 12),
            (1, 500 * MIB, 1, 100),
            (300, 25 * MIB, 100, 1),
            (0, 25 * MIB, 1, 25),
        ],
    )
    def test_all_that_is_under_way_is_a_hundred_megabytes_at_most(
        self,
        run: Run,
        opened: Opened,
        workers: int,
        max_body: int,
        transforms: int,
        payload: int,
    ) -> None:
        async def scenario() -> None:
            async with opened(Fake().model(), workers=workers, max_body=max_body) as application:
                answer = at_once(application, get("/execution-parameters"))
                assert (answer.status, answer.content_type) == (200, "application/json")
                assert isinstance(answer.body, bytes)
                assert json.loads(answer.body) == {
                    "MaxConcurrentTransforms": transforms,
                    "BatchStrategy": "MULTI_RECORD",
                    "MaxPayloadInMB": payload,
                }

        run(scenario())


def test_a_closed_application_leaves_no_thread(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        before = set(threading.enumerate())
        async with opened(Fake().model()) as application:
            await ask(application, post(b"1\n" * INLINE_BODY))
            started = set(threading.enumerate()) - before
            assert {thread.name for thread in started} >= {"decode", "model-fake"}
        for thread in started:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    run(scenario())


def test_requests_of_a_cheap_model_are_batched(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model(**SAMPLE)) as application:
            fake.calls.clear()
            replies = [send(application, post(b"%d" % number)) for number in range(3)]
            answers = [(await reply.answer()).body for reply in replies]
            assert answers == [b"0\n", b"2\n", b"4\n"]
            assert fake.calls == [[0, 1, 2]]

    run(scenario())


NEW_SESSION, CLOSE = b'{"requestType":"NEW_SESSION"}', b'{"requestType":"CLOSE"}'


def test_a_session_is_created_used_and_closed_before_the_model(
    run: Run, opened: Opened, tmp_path: Path
) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model(), sessions=True, sessions_path=tmp_path) as application:
            created = await ask(application, post(NEW_SESSION))
            ((name, value),) = created.headers
            assert (created.status, name) == (200, "x-amzn-sagemaker-new-session-id")
            identity = value.partition(";")[0]

            def naming(body: bytes) -> Request:
                return post(body, x_amzn_sagemaker_session_id=identity)

            assert fake.calls == []
            assert (await ask(application, naming(b"4"))).body == b"8\n"
            closed = await ask(application, naming(CLOSE))
            assert closed.headers == (("x-amzn-sagemaker-closed-session-id", identity),)
            status, kind, message = problem(at_once(application, naming(b"4")))
            assert (status, kind) == (400, "BadRequest")
            assert "unknown, or has expired" in message
            assert fake.calls == [[4.0]]
            assert application.metrics.requests == {200: 3, 400: 1}

    run(scenario())


def test_a_session_that_cannot_be_created_is_a_failed_dependency(
    run: Run, opened: Opened, tmp_path: Path
) -> None:
    async def scenario() -> None:
        (tmp_path / "file").touch()
        folder = tmp_path / "file" / "sessions"
        async with opened(Fake().model(), sessions=True, sessions_path=folder) as application:
            status, kind, _ = problem(await ask(application, post(NEW_SESSION)))
            assert (status, kind) == (424, "FailedDependency")

    run(scenario())


def test_no_session_is_created_without_the_setting(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        async with opened(Fake().model()) as application:
            for body in (NEW_SESSION, CLOSE):
                status, _, message = problem(at_once(application, post(body)))
                assert status == 400
                assert "not enabled" in message
            named = post(b"4", x_amzn_sagemaker_session_id="NEW_SESSION")
            assert (await ask(application, named)).body == b"8\n"

    run(scenario())


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

    def test_a_model_is_ready_when_its_canary_was_answered(
        self, run: Run, opened: Opened, sample: str
    ) -> None:
        async def scenario() -> None:
            fake, heard = Moody(1), list[State]()
            fake.release(2)
            given = {"canary": sample, "changed": heard.append}
            async with opened(fake.model("predict"), **given) as application:
                assert at_once(application, get("/ping")).status == 200
                assert heard == [State.READY]
                assert fake.calls[:2] == [[7.0], [7.0]]
                fake.release(9)

        run(scenario())

    def test_ping_says_what_the_last_answer_was(
        self, run: Run, opened: Opened, sample: str
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_ping_is_bad_before_the_first_answer(
        self, run: Run, make_settings: MakeSettings, sample: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_a_model_that_fails_to_load_is_not_asked(
        self, run: Run, opened: Opened, sample: str
    ) -> None:
        async def scenario() -> None:
            async with opened(ModelLoadError("It is cut."), canary=sample) as application:
                _, _, message = problem(at_once(application, get("/ping")))
                assert "It is cut." in message

        run(scenario())

    def test_a_server_that_is_about_to_stop_is_not_asked(
        self, run: Run, opened: Opened, tmp_path: Path
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_one_that_cannot_be_read_is_the_operators_error(
        self, run: Run, make_settings: MakeSettings
    ) -> None:
        async def scenario() -> None:
            settings = make_settings(canary="gone.csv")
            application = Application(settings, asyncio.get_running_loop())
            with pytest.raises(SettingError, match=r"SERVING_CANARY='gone\.csv' cannot be read"):
                application.load(FOLDER, lambda _: None)
            application.close()

        run(scenario())
