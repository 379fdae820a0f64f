"""Bodies made chunk by chunk by a script's generator."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from serving.engines.function import failure
from serving.errors import PredictionError, ServingError
from serving.streaming import Stream


def to_bytes(value: Any) -> bytes:
    return str(value).encode()


def failed(error: BaseException) -> ServingError:
    return failure("output_fn", error)


def stream(source: Iterator[Any] | AsyncIterator[Any]) -> Stream:
    return Stream(source, to_bytes, failed)


async def asynchronous(values: Iterator[Any]) -> AsyncIterator[Any]:
    for value in values:
        await asyncio.sleep(0)
        yield value


async def collect(wrap: Callable[[Iterator[Any]], Any], values: list[Any]) -> list[bytes]:
    return [chunk async for chunk in stream(wrap(iter(values)))]


@pytest.mark.parametrize("wrap", [iter, asynchronous], ids=["generator", "async generator"])
def test_chunks_come_in_order_as_bytes(wrap: Callable[[Iterator[Any]], Any]) -> None:
    assert asyncio.run(collect(wrap, [1, "two", 3.5])) == [b"1", b"two", b"3.5"]


@pytest.mark.parametrize("wrap", [iter, asynchronous], ids=["generator", "async generator"])
def test_an_empty_generator_is_an_empty_body(wrap: Callable[[Iterator[Any]], Any]) -> None:
    assert asyncio.run(collect(wrap, [])) == []


def test_a_chunk_is_made_only_when_it_is_wanted() -> None:
    made = []

    def source() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    async def take_one() -> bytes:
        body = stream(source())
        chunk = await anext(body)
        await body.aclose()
        return chunk

    assert asyncio.run(take_one()) == b"0"
    assert made == [0]


def test_the_generator_never_runs_on_the_event_loop() -> None:
    def source() -> Iterator[int]:
        yield threading.get_ident()

    async def threads() -> tuple[bytes, int]:
        return await anext(stream(source())), threading.get_ident()

    thread, loop_thread = asyncio.run(threads())
    assert int(thread) != loop_thread


@pytest.mark.parametrize("steps", [0, 1])
def test_a_client_that_leaves_ends_the_generator(steps: int) -> None:
    ended = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            ended.set()

    async def leave() -> None:
        body = stream(source())
        for _ in range(steps):
            await anext(body)
        await body.aclose()

    asyncio.run(leave())
    assert ended.is_set() == bool(steps)  # one that has not begun has nothing to clean up


def test_a_client_that_leaves_ends_an_asynchronous_generator() -> None:
    ended = threading.Event()

    async def source() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
        finally:
            ended.set()

    async def leave() -> None:
        body = stream(source())
        await anext(body)
        await body.aclose()

    asyncio.run(leave())
    assert ended.is_set()


def test_a_failure_names_the_function_after_the_chunks_before_it() -> None:
    def source() -> Iterator[float]:
        yield 1.0
        yield 1 / 0

    async def consume() -> bytes:
        body = stream(source())
        chunk = await anext(body)
        with pytest.raises(PredictionError, match="output_fn failed: ZeroDivisionError"):
            await anext(body)
        return chunk

    assert asyncio.run(consume()) == b"1.0"


def test_closing_twice_does_nothing_more() -> None:
    async def close_twice() -> int:
        body = stream(iter([1, 2]))
        await anext(body)
        await body.aclose()
        await body.aclose()
        return threading.active_count()

    before = threading.active_count()
    assert asyncio.run(close_twice()) <= before + 1  # the thread may be on its way out
