"""Streams collected whole: their ends, their errors, and chunks that never come."""

import asyncio
import math
import time
from collections.abc import AsyncIterator

import pytest

from serving.collecting import collect
from serving.errors import BadRequest, DeadlineExceeded
from tests.support import PATIENCE


class Stuck(AsyncIterator[bytes]):
    """Makes a chunk in a thread that nothing can interrupt, until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.closed = asyncio.Event()

    async def __anext__(self) -> bytes:
        await asyncio.shield(self.go.wait())
        return b"late"

    async def aclose(self) -> None:
        await self.go.wait()
        self.closed.set()


async def chunks(*parts: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if error is not None:
        raise error


async def test_a_stream_is_all_of_its_chunks() -> None:
    assert await collect(chunks(b"a", b"", b"bc"), math.inf) == b"abc"
    assert await collect(chunks(), time.monotonic() + PATIENCE) == b""


async def test_one_that_breaks_off_raises_what_it_broke_off_with() -> None:
    with pytest.raises(BadRequest, match="not that"):
        await collect(chunks(b"a", error=BadRequest("not that")), math.inf)


async def test_a_chunk_that_does_not_come_is_not_waited_for_and_the_stream_is_closed_later() -> (
    None
):
    stuck = Stuck()
    with pytest.raises(DeadlineExceeded):
        await collect(stuck, time.monotonic())
    assert not stuck.closed.is_set()
    stuck.go.set()
    await asyncio.wait_for(stuck.closed.wait(), PATIENCE)
