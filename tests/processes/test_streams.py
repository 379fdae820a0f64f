"""Streamed answers of a model's process: no chunk before it is wanted, none after it is not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from serving import problems
from serving.errors import ServiceUnavailable, ServingError
from serving.values import Response
from tests.conftest import MakeSettings
from tests.processes.support import OBEDIENT, Loaded, began, in_both_places, let_go, write_model
from tests.support import PATIENCE, Recorder, post

pytestmark = pytest.mark.uvloop

STREAMING = f"""{OBEDIENT}
class OutOfPaper(Exception):
    status_code = 507

def counting(most, error=None):
    try:
        for number in range(most):
            log.append(number)
            yield f"{{number}} "
        if error:
            raise error
    finally:
        log.append("closed")
        (folder / "began").write_text("")
"""


def stream(answer: Response) -> Any:
    assert not isinstance(answer.body, bytes)
    return answer.body


async def read(body: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in body])


async def failure(body: AsyncIterator[bytes]) -> ServingError:
    with pytest.raises(ServingError) as caught:
        await read(body)
    return caught.value


async def test_chunks_are_made_when_they_are_wanted(loaded: Loaded) -> None:
    async with loaded(STREAMING) as subject:
        answer = await subject.ask("counting(3)")
        body = stream(answer)
        assert answer.status == 200
        assert await subject.evaluate("log") == "['counting(3)', 'log']"
        assert await anext(body) == b"0 "
        assert (await subject.evaluate("log")).endswith("0, 'log']")
        rest = asyncio.create_task(read(body))
        await began(subject.folder)
        assert await rest == b"1 2 "
        assert [chunk async for chunk in body] == []


async def test_a_generator_stops_when_its_reader_does(loaded: Loaded) -> None:
    async with loaded(STREAMING) as subject:
        body = stream(await subject.ask("counting(10**9)"))
        assert await anext(body) == b"0 "
        await body.aclose()
        await body.aclose()
        await began(subject.folder)
        assert await subject.evaluate("log[-2:]") == "['closed', 'log[-2:]']"
        with pytest.raises(StopAsyncIteration):
            await anext(body)
        await subject.finish()


async def test_a_reader_that_is_cancelled_while_it_waits_stops_the_generator(
    loaded: Loaded,
) -> None:
    async with loaded(STREAMING) as subject:
        body = stream(await subject.ask("(meet() for _ in range(10**9))"))
        reader = asyncio.create_task(anext(body))
        await began(subject.folder)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await body.aclose()
        let_go(subject.folder)
        assert await subject.evaluate("1") == "1"
        await subject.finish()


async def test_a_body_whose_client_left_before_it_was_read_is_dropped(loaded: Loaded) -> None:
    async with loaded(STREAMING) as subject:
        reply = subject.send("counting(3)")
        await reply.answer()
        reply.gone = True
        await subject.finish()  # it waits for streams that somebody reads


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize("error", ["ValueError('no more')", "OutOfPaper('no paper')"])
async def test_an_error_in_a_stream_is_that_of_a_server_of_one_model(
    tmp_path: Any, make_settings: MakeSettings, first: int, error: str
) -> None:
    folder = write_model(tmp_path / "m", STREAMING)
    async with in_both_places(folder, make_settings()) as handles:
        responses = []
        for handle in handles:
            reply = Recorder()
            handle(post(f"counting({first}, {error})".encode(), content_type="x/y"), reply)
            body = stream(await reply.answer())
            for number in range(first):
                assert await anext(body) == f"{number} ".encode()
            failing = asyncio.create_task(failure(body))
            await began(folder)
            responses.append(problems.response(await failing))
        assert responses[0] == responses[1]


async def test_a_stream_breaks_off_with_the_process(loaded: Loaded) -> None:
    async with loaded(STREAMING) as subject:
        body = stream(await subject.ask("(os._exit(3) if i else 'x' for i in (0, 1))"))
        assert await anext(body) == b"x"
        error = await asyncio.wait_for(failure(body), PATIENCE)
        assert isinstance(error, ServiceUnavailable)
        assert "ended with exit status 3" in str(error)
        with pytest.raises(ServiceUnavailable):
            await anext(body)


async def test_a_model_that_finishes_lets_streams_go_on(loaded: Loaded) -> None:
    async with loaded(STREAMING) as subject:
        body = stream(await subject.ask("counting(3)"))
        finishing = asyncio.create_task(subject.finish())
        reading = asyncio.create_task(read(body))
        await began(subject.folder)
        assert await reading == b"0 1 2 "
        await finishing


async def test_what_a_stream_has_open_is_closed_when_its_process_ends(loaded: Loaded) -> None:
    async with loaded(STREAMING) as subject:
        body = stream(await subject.ask("counting(10)"))
        await anext(body)
        subject.process.close()
        await began(subject.folder)  # the generator's end
        error = cast("ServiceUnavailable", await failure(body))
        assert "was unloaded" in str(error)
