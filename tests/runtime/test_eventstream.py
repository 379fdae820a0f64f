"""Event streams, as botocore's own parser reads them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer, EventStreamMessage

from serving.errors import DeadlineExceeded, PredictionError, ServingError
from serving.runtime import eventstream
from serving.runtime.eventstream import MAX_PART, Events, begin
from tests.runtime.support import chunks


def parsed(content: bytes) -> list[EventStreamMessage]:
    """The messages, whose checksums are right and after which nothing is left."""
    buffer = EventStreamBuffer()
    buffer.add_data(content)
    messages = list(buffer)
    assert sum(message.prelude.total_length for message in messages) == len(content)
    return messages


async def collected(*items: bytes | BaseException) -> bytes:
    return b"".join([event async for event in Events(await begin(chunks(*items)))])


def test_a_part_carries_bytes_as_they_are() -> None:
    content = bytes(range(256))
    (message,) = parsed(b"".join(eventstream.parts(content)))
    assert message.payload == content
    assert message.headers == {
        ":message-type": "event",
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
    }


def test_the_bytes_on_the_wire() -> None:
    message = eventstream.message(eventstream.fields(a="b"), b"xyz")
    assert message.hex() == (
        "0000001a00000007d116c5e9"  # its length, that of the headers, and their checksum
        "023a6107000162"  # the name :a; text; the value b
        "78797a"
        "3a19613f"
    )
    assert parsed(message)[0].headers == {":a": "b"}


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (0, []),
        (1, [1]),
        (MAX_PART, [MAX_PART]),
        (MAX_PART + 1, [MAX_PART, 1]),
        (3 * MAX_PART, [MAX_PART] * 3),
    ],
)
def test_a_large_answer_is_several_parts(size: int, sizes: list[int]) -> None:
    messages = parsed(b"".join(eventstream.parts(b"x" * size)))
    assert [len(message.payload) for message in messages] == sizes


async def test_each_chunk_is_a_part_and_an_empty_one_is_none() -> None:
    content = await collected(b"one", b"", b"two")
    assert [message.payload for message in parsed(content)] == [b"one", b"two"]


async def test_an_empty_answer_is_no_message() -> None:
    assert await collected() == b""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PredictionError("It broke: \udcff."), "StreamBroken"),
        (DeadlineExceeded("It broke: \udcff."), "ModelInvocationTimeExceeded"),
    ],
)
async def test_an_error_is_the_last_message(error: ServingError, code: str) -> None:
    first, last = parsed(await collected(b"one", error, b"two"))
    assert first.payload == b"one"
    assert last.headers == {
        ":message-type": "exception",
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
    }
    assert json.loads(last.payload) == {"Message": "It broke: ?.", "ErrorCode": code}


async def test_an_error_before_the_first_chunk_is_none_of_the_stream() -> None:
    class Failing:
        closed = False

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            raise PredictionError("It broke.")

        async def aclose(self) -> None:
            self.closed = True

    body: Any = Failing()
    with pytest.raises(PredictionError):
        await begin(body)
    assert body.closed


async def test_a_client_that_leaves_ends_what_makes_the_answer() -> None:
    ended = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            ended.append(True)

    events = Events(await begin(endless()))
    await anext(events)
    await events.aclose()
    assert ended == [True]
