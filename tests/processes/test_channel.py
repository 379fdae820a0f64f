"""Frames on a stream: put together however the stream cuts them."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from serving.processes.channel import JOINED_BODY, Channel

FRAMES = [
    (1, 0, b"", b""),
    (2, 7, b"head", b"body"),
    (2, 2**63, b"", b"b" * 3000),
    (1, 8, b"h" * 3000, b""),
    (2, 9, b"after", b"all"),
]


class Wire(asyncio.Transport):
    """Keeps what is written, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.ended = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        self.data += data

    def write_eof(self) -> None:
        self.ended = "eof"

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


def sender() -> tuple[Channel, Wire]:
    channel, wire = Channel(lambda: None), Wire()
    channel.connection_made(wire)
    return channel, wire


def written(frames: list[tuple[int, int, bytes, bytes]]) -> bytes:
    channel, wire = sender()
    for frame in frames:
        channel.send(*frame)
    return wire.data


@pytest.mark.parametrize("size", [1, 2, 23, 24, 25, 1000, 100_000])
def test_frames_come_out_as_they_went_in_however_they_are_cut(size: int) -> None:
    received: list[tuple[int, int, bytes, bytes]] = []
    channel = Channel(lambda: None)

    def take(kind: int, number: int, head: bytes, body: bytes) -> None:
        received.append((kind, number, head, body))

    channel.receivers = {1: partial(take, 1), 2: partial(take, 2)}
    data = written(FRAMES)
    for start in range(0, len(data), size):
        channel.data_received(data[start : start + size])

    assert received == FRAMES


def test_a_large_body_follows_its_head_uncopied() -> None:
    channel, wire = sender()
    body = b"x" * (JOINED_BODY + 1)
    parts: list[bytes] = []
    wire.write = parts.append  # type: ignore[method-assign, assignment]
    channel.send(1, 1, b"head", body)
    assert parts[1] is body


def test_what_is_sent_before_it_opens_is_dropped() -> None:
    channel = Channel(lambda: None)
    channel.send(1, 1, b"lost")
    wire = Wire()
    channel.connection_made(wire)
    assert wire.data == b""


@pytest.mark.parametrize(
    ("end", "how"),
    [(Channel.hang_up, "eof"), (Channel.close, "closed"), (Channel.abort, "aborted")],
)
def test_nothing_is_sent_after_the_end(end: Callable[[Channel], None], how: str) -> None:
    channel, wire = sender()
    end(channel)
    channel.send(1, 1, b"late")
    channel.hang_up()
    assert (wire.data, wire.ended) == (b"", how)


def test_that_the_other_end_hung_up_is_told_once() -> None:
    told: list[None] = []
    channel = Channel(lambda: told.append(None))
    channel.connection_made(Wire())
    assert channel.eof_received()  # this end may go on
    channel.connection_lost(None)
    assert told == [None]
    assert channel.closed.is_set()
