"""Asynchronous invocations: what is written, when it is tried again, and what outlives a server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from serving.errors import (
    ArchiveError,
    DecodeError,
    ModelNotReady,
    Overloaded,
    PredictionError,
    SettingError,
)
from serving.problems import response
from serving.runtime import asynchronous, check, spool, stores
from serving.runtime.spool import Job, Spool
from serving.values import Request, Response
from tests.conftest import MakeSettings
from tests.runtime.conftest import MakeFront
from tests.runtime.support import ANSWER, Front, streamed
from tests.support import PATIENCE


def invoke(front: Front, **given: Any) -> dict[str, Any]:
    given = {"EndpointName": "any", "InferenceId": "one", **given}
    if "InputLocation" not in given:
        given.setdefault("Body", b"1,2")
    answer: dict[str, Any] = front.client().invoke_endpoint_async(**given)
    return answer


def outcome(front: Front, path: Path) -> bytes:
    """What is written there, in the end."""
    front.host.until(path.exists)
    return path.read_bytes()


def waiting(store: Path) -> list[str]:
    return [path.name for path in (store / ".spool").iterdir() if path.name != spool.SLOTS]


async def endless() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0)
        yield b""


def job(store: Path, **given: Any) -> Job:
    """One that an earlier server took."""
    out, failed = f"{store}/one.out", f"{store}/one-error.out"
    expires = time.time() + 1000
    return Job("one", "request", {}, "", out, failed, expires, 900, b"1,2")._replace(**given)


def test_an_answer_is_written_and_the_request_is_done_with(
    make_front: MakeFront, store: Path
) -> None:
    front = make_front(async_output=str(store))
    invoke(front)
    assert outcome(front, store / "one.out") == ANSWER.body
    front.host.until(lambda: not waiting(store))
    assert len(front.core.requests) == 1


def test_a_streamed_answer_is_written_whole(make_front: MakeFront, store: Path) -> None:
    front = make_front(async_output=str(store))
    front.core.answer = streamed(b"one", b"two")
    invoke(front)
    assert outcome(front, store / "one.out") == b"onetwo"


def test_answers_may_go_to_an_object_store(make_front: MakeFront, tmp_path: Path) -> None:
    files = import_module("fsspec").filesystem("memory")
    front = make_front(
        async_output="memory://out/answers/",
        async_failures="memory://failures",
        async_inputs="memory://elsewhere, memory://in",
        async_spool=str(tmp_path / "spool"),
    )
    files.pipe_file("/in/one", b"3,4")
    try:
        invoke(front, InputLocation="memory://in/one")
        answer = invoke(front, InferenceId="two")
        assert answer["OutputLocation"] == "memory://out/answers/two.out"
        assert answer["FailureLocation"] == "memory://failures/two-error.out"
        for name in ("one", "two"):
            front.host.until(lambda name=name: files.exists(f"/out/answers/{name}.out"))  # type: ignore[misc]
        assert files.cat_file("/out/answers/one.out") == ANSWER.body
        assert {request.body for request in front.core.requests} == {b"1,2", b"3,4"}
    finally:
        files.store.clear()
        files.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    "inference_id", ["../../out", "a/b", ".hidden", "with space", "\u007e" * 64]
)
def test_an_id_that_is_no_file_name_does_not_become_one(
    make_front: MakeFront, store: Path, inference_id: str
) -> None:
    front = make_front(async_output=str(store))
    answer = invoke(front, InferenceId=inference_id)
    assert answer["InferenceId"] == inference_id
    path = stores.local(answer["OutputLocation"])
    assert path is not None
    assert path.parent == store
    assert outcome(front, path) == ANSWER.body
    assert front.core.request.headers["x-amzn-sagemaker-inference-id"] == inference_id


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (response(DecodeError("Row 1 is short.")), 400),
        (response(PredictionError("Row 1 is short.")), 500),
        (Response(418, b"Row 1 is short.", "text/plain"), 418),
    ],
)
def test_a_models_error_is_written_in_the_place_of_an_answer(
    make_front: MakeFront, store: Path, answer: Response, status: int
) -> None:
    front = make_front(async_output=str(store), async_failures=str(store / "failed"))
    front.core.answer = lambda _: answer
    invoke(front)
    told = json.loads(outcome(front, store / "failed/one-error.out"))
    assert told.keys() == {
        *("Code", "Message", "OriginalStatusCode", "OriginalMessage", "LogStreamArn")
    }
    assert (told["Code"], told["OriginalStatusCode"]) == ("ModelError", status)
    assert "Row 1 is short." in told["OriginalMessage"]
    assert not (store / "one.out").exists()


def test_a_stream_that_breaks_off_is_an_error(make_front: MakeFront, store: Path) -> None:
    front = make_front(async_output=str(store))
    front.core.answer = streamed(b"one", PredictionError("It broke."))
    invoke(front)
    assert json.loads(outcome(front, store / "one-error.out"))["OriginalStatusCode"] == 500


def test_an_input_that_cannot_be_read_is_an_error(make_front: MakeFront, store: Path) -> None:
    front = make_front(async_output=str(store), max_body=10)
    invoke(front, InputLocation=(store / "gone").as_uri())
    told = json.loads(outcome(front, store / "one-error.out"))
    assert told["Code"] == "ValidationError"
    assert told["Message"].endswith("/gone cannot be read: No such file or directory.")

    (store / "large").write_bytes(b"x" * 11)
    invoke(front, InputLocation=(store / "large").as_uri(), InferenceId="two")
    told = json.loads(outcome(front, store / "two-error.out"))
    assert "more than 10 bytes" in told["Message"]
    assert front.core.requests == []


def test_the_model_may_take_as_long_as_the_client_says(make_front: MakeFront, store: Path) -> None:
    front = make_front(async_output=str(store), request_timeout=1000.0)
    before = time.monotonic()
    invoke(front, InvocationTimeoutSeconds=30)
    outcome(front, store / "one.out")
    assert 30 < front.core.request.deadline - before < 30 + PATIENCE
    invoke(front, InferenceId="two")
    outcome(front, store / "two.out")
    assert 900 < front.core.requests[1].deadline - before < 900 + 2 * PATIENCE


def test_the_model_may_not_take_longer_than_the_server_allows(
    make_front: MakeFront, store: Path
) -> None:
    front = make_front(async_output=str(store), request_timeout=100.0)
    before = time.monotonic()
    invoke(front, InvocationTimeoutSeconds=900)
    outcome(front, store / "one.out")
    assert 100 < front.core.request.deadline - before < 100 + PATIENCE


def test_a_stream_that_takes_longer_is_an_error(make_front: MakeFront, store: Path) -> None:
    Spool(store / ".spool", 1).add(job(store, timeout=0))
    front = make_front(lambda _: Response(200, endless()), async_output=str(store))
    told = json.loads(outcome(front, store / "one-error.out"))
    assert (told["Code"], told["OriginalStatusCode"]) == ("ModelError", 0)


@pytest.mark.parametrize("error", [Overloaded("Full."), ModelNotReady("Loading.")])
@pytest.mark.usefixtures("quick")
def test_a_model_that_is_busy_or_loading_is_asked_again(
    make_front: MakeFront, store: Path, error: PredictionError
) -> None:
    front = make_front(async_output=str(store))
    front.core.answer = lambda _: response(error) if len(front.core.requests) < 5 else ANSWER
    invoke(front)
    assert outcome(front, store / "one.out") == ANSWER.body
    assert len(front.core.requests) == 5


@pytest.mark.usefixtures("quick")
def test_a_request_that_has_waited_too_long_is_an_error(make_front: MakeFront, store: Path) -> None:
    Spool(store / ".spool", 1).add(job(store, expires=time.time() - 1))
    front = make_front(async_output=str(store))
    told = json.loads(outcome(front, store / "one-error.out"))
    assert told["OriginalStatusCode"] == 0
    assert "waited longer than its RequestTTLSeconds" in told["OriginalMessage"]
    assert front.core.requests == []


def test_what_an_earlier_server_left_is_done_by_the_next(
    make_front: MakeFront, store: Path
) -> None:
    Spool(store / ".spool", 1).add(job(store))
    front = make_front(async_output=str(store))
    assert outcome(front, store / "one.out") == ANSWER.body


def test_a_server_that_stops_leaves_what_it_has_begun(make_front: MakeFront, store: Path) -> None:
    def held(_: Request) -> None: ...

    first = make_front(async_output=str(store))
    first.core.answer = held
    invoke(first)
    first.host.until(lambda: bool(first.core.held))
    first.host.call(first.endpoints.close)
    first.host.run(first.endpoints.drain())
    assert first.core.held[0].gone
    assert len(waiting(store)) == 1

    second = make_front(async_output=str(store))
    assert outcome(second, store / "one.out") == ANSWER.body


def test_a_server_that_drains_finishes_what_it_has_begun_and_begins_nothing(
    make_front: MakeFront, store: Path
) -> None:
    def held(_: Request) -> None: ...

    front = make_front(async_output=str(store), async_concurrency=1)
    front.core.answer = held
    invoke(front)
    invoke(front, InferenceId="two")
    front.host.until(lambda: bool(front.core.held))
    drained = front.host.loop.create_task

    async def drain() -> None:
        task = drained(front.endpoints.drain())
        front.core.held[0].send(ANSWER)
        await task

    front.host.run(drain())
    assert (store / "one.out").exists()
    assert len(front.core.requests) == 1
    assert len(waiting(store)) == 1


@pytest.mark.usefixtures("quick")
def test_a_request_that_ends_its_worker_again_and_again_is_given_up(
    make_front: MakeFront, store: Path
) -> None:
    queue = Spool(store / ".spool", 1)
    queue.add(job(store))
    for _ in range(spool.MOST_ATTEMPTS):
        claim = queue.claim()
        assert claim is not None
        claim.release()
    front = make_front(async_output=str(store))
    told = json.loads(outcome(front, store / "one-error.out"))
    assert told == {
        "Code": "InternalFailure",
        "Message": "The server ended 3 times while it worked.",
    }
    assert front.core.requests == []


@pytest.mark.usefixtures("quick")
def test_no_more_are_worked_on_at_once_than_may(make_front: MakeFront, store: Path) -> None:
    def held(_: Request) -> None: ...

    fronts = [make_front(async_output=str(store), async_concurrency=2) for _ in range(2)]
    for front in fronts:
        front.core.answer = held
    for number in range(5):
        invoke(fronts[number % 2], InferenceId=f"id-{number}")

    def asked() -> int:
        return sum(len(front.core.requests) for front in fronts)

    fronts[0].host.until(lambda: asked() == 2)
    for done in range(5):
        assert asked() - done <= 2
        busy = next(front for front in fronts if front.core.held)
        busy.host.call(lambda busy=busy: busy.core.held.pop().send(ANSWER))  # type: ignore[misc]
        fronts[0].host.until(lambda done=done: asked() == min(5, done + 3))  # type: ignore[misc]
    for number in range(5):
        outcome(fronts[0], store / f"id-{number}.out")


@pytest.mark.usefixtures("quick")
def test_a_store_that_fails_is_tried_again(
    make_front: MakeFront, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []
    unpatched = stores.write

    def write(address: str, content: bytes) -> None:
        if len(failures) < 3:
            failures.append(address)
            raise stores.StoreError("The store is away.")
        unpatched(address, content)

    monkeypatch.setattr(stores, "write", write)
    front = make_front(async_output=str(store))
    invoke(front)
    assert outcome(front, store / "one.out") == ANSWER.body
    assert len(front.core.requests) == 1


@pytest.mark.usefixtures("quick")
def test_an_outcome_that_no_store_takes_is_lost_when_its_time_is_over(
    make_front: MakeFront,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def write(_address: str, _content: bytes) -> None:
        raise stores.StoreError("The store is away.")

    monkeypatch.setattr(stores, "write", write)
    Spool(store / ".spool", 1).add(job(store, expires=time.time() - 1))
    front = make_front(async_output=str(store))
    front.host.until(lambda: not waiting(store))
    assert "the outcome of request request is lost" in caplog.text
    assert "The store is away." in caplog.text


def test_a_full_spool_refuses(
    make_front: MakeFront, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_WAITING", 0)
    front = make_front(async_output=str(store))
    client = front.client()
    with pytest.raises(client.exceptions.ServiceUnavailable) as caught:
        client.invoke_endpoint_async(EndpointName="any", Body=b"1")
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["retry-after"] == asynchronous.RETRY_AFTER


@pytest.mark.usefixtures("quick")
def test_a_spool_that_cannot_be_written_is_the_servers_failure(
    make_front: MakeFront, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.mkdir()
    (store / ".spool").touch()
    front = make_front(async_output=str(store))
    client = front.client()
    with pytest.raises(client.exceptions.InternalFailure, match="see the server's log"):
        client.invoke_endpoint_async(EndpointName="any", Body=b"1")
    front.host.until(lambda: "cannot be read" in caplog.text)
    (store / ".spool").unlink()
    invoke(front)
    assert outcome(front, store / "one.out") == ANSWER.body
    assert caplog.text.count("cannot be read") == 1


def test_the_spool_lies_where_it_is_set_or_with_the_answers_or_in_the_cache(
    make_settings: MakeSettings,
) -> None:
    def folder(**settings: Any) -> str:
        return str(asynchronous.spool_folder(make_settings(cache=Path("/cache"), **settings)))

    assert folder(async_output="/out", async_spool="/spool") == "/spool"
    assert folder(async_output="/out") == "/out/.spool"
    assert folder(async_output="file:///out/") == "/out/.spool"
    assert folder(async_output="s3://bucket/out") == "/cache/async-spool"


def test_a_place_that_cannot_be_written_ends_start_up(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    (tmp_path / "file").touch()
    good, bad = str(tmp_path / "good"), str(tmp_path / "file")
    check(make_settings())
    check(make_settings(async_output=good, async_failures=good))
    assert (tmp_path / "good/.spool").is_dir()
    with pytest.raises(SettingError, match="file cannot be made"):
        check(make_settings(async_output=bad))
    with pytest.raises(SettingError, match="file cannot be made"):
        check(make_settings(async_output=good, async_spool=bad))
    with pytest.raises(ArchiveError, match="scheme that is not supported"):
        check(make_settings(async_output=good, async_failures="nowhere://a"))
    with pytest.raises(SettingError, match="cannot be read"):
        check(make_settings(endpoints=str(tmp_path / "gone.toml")))
