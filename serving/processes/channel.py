"""Frames on a stream between the server and a model's process.

A frame is a header of fixed size, a head, which is a few words about it, and a body, which is
passed on as it is. Many requests share a channel; numbers tell them apart.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from typing import cast

HEADER = struct.Struct("<BxxxIQQ")
"""Kind, length of the head, length of the body, number of the request."""

JOINED_BODY = 64 * 1024
"""Largest body, in bytes, that is copied to be written with its head; larger ones follow it."""

Receiver = Callable[[int, bytes, bytes], None]
"""Takes a frame's number, head and body."""


class Channel(asyncio.Protocol):
    """One end of a channel."""

    def __init__(self, hung_up: Callable[[], None]) -> None:
        """Make an end; a transport opens it.

        Args:
            hung_up: Called once, when the other end sends no more; it may still receive.
        """
        self.receivers: dict[int, Receiver] = {}
        """What takes the frames of each kind."""
        self._hung_up: Callable[[], None] | None = hung_up
        self._transport: asyncio.WriteTransport | None = None  # while it is open
        self._finished = False  # nothing more is sent
        self._rest = b""
        self._begun = (0, 0, b"")
        self._parts: list[bytes] = []
        self._missing = 0  # bytes of the body that is being received
        self.full = False
        """The other end does not keep up with what is sent."""
        self.heard = time.monotonic()
        """When something last came from the other end."""
        self.closed = asyncio.Event()
        """Set when nothing can be sent any more."""

    def send(self, kind: int, number: int = 0, head: bytes = b"", body: bytes = b"") -> None:
        """Send a frame; it is dropped where the channel is not open."""
        transport = self._transport
        if transport is None or self._finished:
            return
        header = HEADER.pack(kind, len(head), len(body), number)
        if len(body) <= JOINED_BODY:
            transport.write(b"".join((header, head, body)))
        else:
            transport.write(header + head)
            transport.write(body)

    def hang_up(self) -> None:
        """Send no more after what was sent; receive until the other end hangs up."""
        if self._transport is not None and not self._finished:
            self._finished = True
            self._transport.write_eof()

    def close(self) -> None:
        """Close after what was sent has left."""
        if self._transport is not None:
            self._finished = True
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._finished = True
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The channel is open."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes as they come. Those of a large body are copied once, when it is complete."""
        self.heard = time.monotonic()
        if self._missing:
            data = self._continue(data)
        if self._rest:
            data = self._rest + data
        start, end = 0, len(data)
        while end - start >= HEADER.size:
            kind, head_length, body_length, number = HEADER.unpack_from(data, start)
            head_start = start + HEADER.size
            body_start = head_start + head_length
            if body_start > end:
                break
            start = body_start + body_length
            head = data[head_start:body_start]
            if start > end:
                self._begun = kind, number, head
                self._parts.append(data[body_start:])
                self._missing = start - end
                start = end
                break
            self.receivers[kind](number, head, data[body_start:start])
        self._rest = data[start:]

    def eof_received(self) -> bool:
        """The other end has hung up."""
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The channel is closed."""
        self._transport = None
        self.closed.set()
        self._end()
        self.receivers = {}  # who receives holds the channel: that would keep both

    def pause_writing(self) -> None:
        """The other end does not keep up."""
        self.full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.full = False

    # Inside.

    def _continue(self, data: bytes) -> bytes:
        """Take more of a large body; gives what follows it."""
        self._parts.append(data[: self._missing])
        following = data[self._missing :]
        self._missing -= len(self._parts[-1])
        if not self._missing:
            kind, number, head = self._begun
            body = b"".join(self._parts)
            self._parts = []
            self.receivers[kind](number, head, body)
        return following

    def _end(self) -> None:
        hung_up, self._hung_up = self._hung_up, None
        if hung_up is not None:
            hung_up()
