"""The canary: when it is asked, what counts as a good answer, and what is said of a bad one."""

import asyncio
import logging
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from serving import canary
from serving.canary import Canary, Trial
from serving.errors import DecodeError, ModelNotReady, Overloaded, PredictionError, SettingError
from serving.problems import response
from serving.settings import Settings
from serving.values import Request, Response
from tests.support import PATIENCE, cli, environment, post

INTERVAL, TIMEOUT = 30.0, 20.0
GOOD = Response(200, b"1", "text/csv")


class Timers:
    """A loop of which only the timers are used; they are due when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, then: Callable[..., None], *args: Any) -> "Timers.Handle":
        entry = (delay, lambda: then(*args))
        self.waiting.append(entry)
        return Timers.Handle(self, entry)

    class Handle:
        def __init__(self, timers: "Timers", entry: tuple[float, Callable[[], None]]) -> None:
            self.cancel = lambda: timers.waiting.remove(entry) if entry in timers.waiting else None

    def pass_by(self) -> float:
        """The delay of the one timer there is, which is over now."""
        ((delay, then),) = self.waiting
        self.waiting.clear()
        then()
        return delay


class Asking:
    """A canary and whom it asks."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.timers = Timers()
        self.asked: list[tuple[Request, Trial]] = []
        self.passed = 0
        self.heard = asyncio.Event()
        self.canary = Canary(
            post(b"1,2"),
            lambda request, trial: self.asked.append((request, trial)),
            loop or cast("asyncio.AbstractEventLoop", self.timers),
            interval=INTERVAL,
            timeout=TIMEOUT,
        )

    def start(self) -> None:
        self.canary.start(self._pass)

    def _pass(self) -> None:
        self.passed += 1
        self.heard.set()

    def answer(self, answer: Response) -> None:
        self.asked[-1][1].send(answer)

    @property
    def reason(self) -> str:
        """Why it is bad; empty where it is good."""
        try:
            self.canary.check()
        except ModelNotReady as error:
            return str(error)
        return ""


@pytest.fixture
def asking() -> Asking:
    made = Asking()
    made.start()
    return made


# The stored request


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("sample.csv", "text/csv"),
        ("sample.json", "application/json"),
        ("sample.jsonl", "application/jsonlines"),
        ("sample.NPY", "application/x-npy"),
        ("sample.npz", "application/x-npz"),
        ("sample.libsvm", "text/libsvm"),
        ("sample.pbr", "application/x-recordio-protobuf"),
    ],
)
def test_its_media_type_is_that_of_its_suffix(tmp_path: Path, name: str, content_type: str) -> None:
    (tmp_path / name).write_bytes(b"\x01,2")
    request = canary.read(tmp_path, Settings(canary=name))
    assert request is not None
    assert (request.method, request.path, request.body) == ("POST", "/invocations", b"\x01,2")
    assert request.headers["content-type"] == content_type


def test_its_media_type_may_be_set_and_its_path_be_absolute(tmp_path: Path) -> None:
    path = tmp_path / "sample.bin"
    path.write_bytes(b"1")
    settings = Settings(canary=str(path), canary_content_type="image/png")
    request = canary.read(Path("/elsewhere"), settings)
    assert request is not None
    assert request.headers["content-type"] == "image/png"


def test_there_is_none_unless_it_is_set(tmp_path: Path) -> None:
    assert canary.read(tmp_path, Settings()) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.csv", r"^SERVING_CANARY='gone\.csv' cannot be read at .*: No such file"),
        ("folder.csv", r"cannot be read at .*: Is a directory"),
        ("empty.csv", r"is empty"),
        ("sample.txt", r"does not end in one of \.csv, .* SERVING_CANARY_CONTENT_TYPE"),
    ],
)
def test_one_that_cannot_be_asked_is_the_operators_error(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "sample.txt").write_text("1")
    with pytest.raises(SettingError, match=message):
        canary.read(tmp_path, Settings(canary=name))


# When it is asked


def test_it_is_bad_until_an_answer_was_good(asking: Asking) -> None:
    assert asking.reason == "The model is loaded; its canary is not answered yet."
    assert asking.passed == 0
    asking.answer(GOOD)
    assert (asking.reason, asking.passed) == ("", 1)


def test_it_is_asked_with_a_deadline(asking: Asking) -> None:
    ((request, _),) = asking.asked
    assert request.body == b"1,2"
    assert 0 < request.deadline - time.monotonic() <= TIMEOUT


def test_it_is_asked_again_so_long_after_each_judgement(asking: Asking) -> None:
    for answer in (GOOD, Response(500), GOOD):
        asking.answer(answer)
        assert asking.timers.pass_by() == INTERVAL
    assert len(asking.asked) == 4
    assert asking.passed == 1


def test_it_is_asked_no_more_once_it_is_closed(asking: Asking) -> None:
    asking.canary.close()
    assert asking.timers.waiting == []
    ((_, trial),) = asking.asked
    assert trial.gone
    trial.send(GOOD)
    assert asking.passed == 0
    assert asking.timers.waiting == []


def test_one_that_was_never_asked_can_be_closed() -> None:
    asking = Asking()
    asking.canary.close()
    assert asking.asked == []


# What counts


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (response(DecodeError("Row 1 is short.")), "The canary is answered 400: Row 1 is short."),
        (response(PredictionError("No.")), "The canary is answered 500: No."),
        (Response(418, b"\xffteapot"), "The canary is answered 418: \ufffdteapot"),
        (Response(500, b"[1]"), "The canary is answered 500: [1]"),
        (Response(503, b'{"a":1}'), 'The canary is answered 503: {"a":1}'),
        (Response(500, b"x" * 1000), f"The canary is answered 500: {'x' * canary.MAX_WORDS}"),
    ],
)
def test_a_failure_makes_it_bad_until_an_answer_is_good_again(
    asking: Asking, caplog: pytest.LogCaptureFixture, answer: Response, reason: str
) -> None:
    asking.answer(GOOD)
    for _ in range(2):
        asking.timers.pass_by()
        asking.answer(answer)
        assert asking.reason == reason
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == [f"this server is unhealthy: {reason}"]
    asking.timers.pass_by()
    asking.answer(GOOD)
    assert asking.reason == ""


def test_no_answer_in_time_makes_it_bad_and_a_late_one_does_not_count(asking: Asking) -> None:
    asking.answer(GOOD)
    asking.timers.pass_by()
    assert asking.timers.pass_by() == TIMEOUT
    assert asking.reason == "The canary is not answered within 20 s."
    trial = asking.asked[-1][1]
    assert trial.gone
    trial.send(GOOD)
    assert asking.reason
    assert asking.timers.pass_by() == INTERVAL


def test_a_refusal_for_want_of_time_leaves_it_as_it_was(asking: Asking) -> None:
    refusal = Overloaded("Full.")
    refusal.headers = (("retry-after", "1"),)
    before = asking.reason
    asking.answer(response(refusal))
    assert (asking.reason, asking.passed) == (before, 0)
    asking.timers.pass_by()
    asking.answer(GOOD)
    asking.timers.pass_by()
    asking.answer(response(refusal))
    assert asking.reason == ""
    assert asking.timers.pass_by() == INTERVAL


# Streamed answers


class Chunks(AsyncIterator[bytes]):
    """A streamed body, which fails at its end if it is told to."""

    def __init__(self, *chunks: bytes, failure: PredictionError | None = None) -> None:
        self._chunks = iter(chunks)
        self._failure = failure
        self.closed = asyncio.Event()

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        if self._failure:
            raise self._failure
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed.set()


async def test_a_streamed_answer_is_read_to_its_end() -> None:
    asking = Asking(asyncio.get_running_loop())
    asking.start()
    body = Chunks(b"1", b"2")
    asking.answer(Response(200, body))
    assert asking.reason
    await asyncio.wait_for(asking.heard.wait(), PATIENCE)
    assert body.closed.is_set()
    assert asking.reason == ""
    asking.canary.close()


@pytest.mark.parametrize(
    ("status", "failure", "reason"),
    [
        (200, PredictionError("No."), "The canary's answer breaks off: No."),
        (500, None, "The canary is answered 500: 2"),
    ],
)
async def test_a_streamed_answer_that_fails_is_bad(
    status: int, failure: PredictionError | None, reason: str
) -> None:
    asking = Asking(asyncio.get_running_loop())
    asking.start()
    body = Chunks(b"1", b"2", failure=failure)
    asking.answer(Response(status, body))
    task = asking.asked[-1][1].task
    assert task is not None
    await asyncio.wait_for(task, PATIENCE)
    assert body.closed.is_set()
    assert asking.reason == reason
    asking.canary.close()


async def test_a_streamed_answer_that_never_ends_is_stopped() -> None:
    class Endless(Chunks):
        async def __anext__(self) -> bytes:
            await asyncio.Event().wait()
            return b""

    asking = Asking(asyncio.get_running_loop())
    asking.start()
    body = Endless()
    asking.answer(Response(200, body))
    await asyncio.sleep(0)
    asking.canary.close()
    await asyncio.wait_for(body.closed.wait(), PATIENCE)
    assert asking.passed == 0


def test_a_wrong_one_ends_start_up_before_any_worker_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        cli("serve", tmp_path, "--bind", "127.0.0.1", "--port", "0"),
        env=environment(SERVING_CANARY="gone.csv", SERVING_CACHE=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert "serving: SERVING_CANARY='gone.csv' cannot be read" in done.stderr
    assert "Booting" not in done.stderr
