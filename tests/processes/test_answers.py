"""Requests on their way to a model's process, and its answers on theirs."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from serving.errors import BadRequest, Overloaded
from serving.settings import MIB
from serving.values import Request
from tests.conftest import MakeSettings
from tests.models import SCRIPT
from tests.processes.support import (
    Loaded,
    began,
    in_both_places,
    let_go,
    write_model,
)
from tests.support import PATIENCE, Recorder, post

NUMBERS = "text/x-numbers"


@pytest.mark.parametrize(
    "request_",
    [
        post(b"1 2 3", content_type=NUMBERS),
        post(b"1 2 3", content_type=NUMBERS, accept="text/x-numbers"),
        post(b"1", content_type=NUMBERS, x_amzn_sagemaker_custom_attributes="caf\xe9=1"),
        post(b"1 two", content_type=NUMBERS),
        post(b"1", content_type="text/csv"),
        post(b"", content_type=NUMBERS),
        post(b'{"requestType": "NEW_SESSION"}', content_type="application/json"),
    ],
    ids=["answer", "accept", "headers", "error", "status", "empty", "no sessions"],
)
async def test_the_answer_is_that_of_a_server_of_one_model(
    tmp_path: Path, make_settings: MakeSettings, request_: Request
) -> None:
    async with in_both_places(write_model(tmp_path / "m", SCRIPT), make_settings()) as handles:
        here, there = Recorder(), Recorder()
        for handle, reply in zip(handles, (here, there), strict=True):
            handle(request_, reply)
        assert await there.answer() == await here.answer()


async def test_each_of_many_requests_at_once_gets_its_own_answer(loaded: Loaded) -> None:
    async with loaded() as subject:
        answers = await asyncio.gather(*(subject.evaluate(f"{n} * 2") for n in range(80)))
        assert answers == [str(n * 2) for n in range(80)]


async def test_a_body_of_50_megabytes_goes_there_and_back(loaded: Loaded) -> None:
    echo = "def model_fn(folder): pass\ndef transform_fn(model, body, *types): return body\n"

    async with loaded(echo) as subject:
        body = os.urandom(MIB) * 50
        reply = Recorder()
        subject.process.handle(post(body, content_type="text/x"), reply)
        response = await reply.answer()
        assert response.status == 200
        assert response.body == body


async def test_a_request_that_cannot_be_passed_on_leaves_nothing_behind(loaded: Loaded) -> None:
    async with loaded() as subject:
        with pytest.raises(BadRequest):
            subject.process.handle(post(b"1", x_name="\ud800"), Recorder())
        await subject.finish()


async def test_what_a_process_has_no_time_to_read_waits_up_to_a_limit(loaded: Loaded) -> None:
    async with loaded(max_queue=4) as subject:
        subject.send("ctypes.PyDLL(None).pause()")  # with the interpreter's lock
        request = post(bytes(MIB))
        for _ in range(3):
            subject.process.handle(request, Recorder())
        with pytest.raises(Overloaded) as caught:
            subject.process.handle(request, Recorder())
        assert str(caught.value) == "4 requests wait for the model already; try again."
        assert caught.value.headers == (("retry-after", "1"),)


async def test_a_request_whose_time_is_over_is_answered_504(loaded: Loaded) -> None:
    async with loaded() as subject:
        running = subject.send("meet()")
        await began(subject.folder)
        late = subject.send("1", deadline=time.monotonic() + 0.01)
        assert (await late.answer()).status == 504
        let_go(subject.folder)
        assert (await running.answer()).status == 200


async def test_a_request_whose_client_has_left_is_dropped_there(loaded: Loaded) -> None:
    seen = asyncio.Event()

    class Leaver(Recorder):
        def __getattribute__(self, name: str) -> Any:
            if name == "gone":
                seen.set()
                return True
            return super().__getattribute__(name)

    seen.clear()
    async with loaded() as subject:
        running = subject.send("meet()")
        await began(subject.folder)
        reply = Leaver()
        subject.process.handle(post(b"'unwanted'"), reply)
        await asyncio.wait_for(seen.wait(), PATIENCE)
        await subject.process.counts()  # the process has read what was sent before
        let_go(subject.folder)
        assert (await running.answer()).status == 200
        assert await subject.evaluate("log") == "['meet()', 'log']"
        assert reply.answers == []


async def test_what_a_process_has_counted_can_be_asked_and_stays_known(loaded: Loaded) -> None:
    async with loaded() as subject:
        assert (await subject.process.counts())["requests"] == {}
        await subject.evaluate("1")
        await subject.ask("nonsense(")
        counts = await subject.process.counts()
        assert counts["requests"] == {"200": 1, "500": 1}
        assert counts["memory"] > MIB
        await subject.evaluate("2")
        await subject.finish()
        assert (await subject.process.counts())["requests"] == {"200": 2, "500": 1}
