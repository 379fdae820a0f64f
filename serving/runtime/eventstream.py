"""The framing of ``application/vnd.amazon.eventstream``, and a streamed answer in it.

A message is, with all numbers big-endian::

    u32 length of all   u32 length of the headers   u32 crc32 of these eight bytes
    headers             each: u8 length, name, u8 type 7 (text), u16 length, value
    payload
    u32 crc32 of all before

Source: botocore's ``eventstream.py``, which takes it apart.
"""

import logging
import struct
from binascii import crc32
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import orjson

from serving.collecting import close
from serving.errors import DeadlineExceeded, ServingError
from serving.runtime.faults import shown

log = logging.getLogger("serving")

CONTENT_TYPE = "application/vnd.amazon.eventstream"

MAX_PART = 1 << 20
"""Bytes of the model's answer in one message. Clients take 24 MiB, but hold a message whole."""

_TEXT = 7
_FRAME = 16
"""Bytes of a message besides its headers and payload."""


def message(headers: bytes, payload: bytes) -> bytes:
    """One message; ``headers`` as :func:`fields` makes them."""
    prelude = struct.pack(">II", _FRAME + len(headers) + len(payload), len(headers))
    checked = b"%b%b%b%b" % (prelude, struct.pack(">I", crc32(prelude)), headers, payload)
    return checked + struct.pack(">I", crc32(checked))


def fields(**values: str) -> bytes:
    """Headers: ``event_type="PayloadPart"`` is the header ``:event-type``."""
    encoded = []
    for name, value in values.items():
        label, text = f":{name.replace('_', '-')}".encode(), value.encode()
        head = struct.pack(">B", len(label)) + label + struct.pack(">BH", _TEXT, len(text))
        encoded.append(head + text)
    return b"".join(encoded)


_PART = fields(
    message_type="event", event_type="PayloadPart", content_type="application/octet-stream"
)
_ERROR = fields(
    message_type="exception", exception_type="ModelStreamError", content_type="application/json"
)


def parts(data: bytes) -> list[bytes]:
    """Messages that carry a piece of the answer; none for nothing."""
    starts = range(0, len(data), MAX_PART)
    return [message(_PART, data[start : start + MAX_PART]) for start in starts]


def broken(error: ServingError) -> bytes:
    """The message that ends an answer which fails after it has begun."""
    late = isinstance(error, DeadlineExceeded)
    code = "ModelInvocationTimeExceeded" if late else "StreamBroken"
    body = {"Message": shown(str(error)), "ErrorCode": code}
    return message(_ERROR, orjson.dumps(body))


class Events(AsyncIterator[bytes]):
    """A streamed answer as messages. It does not fail: an error is the last of them."""

    def __init__(self, body: "Begun") -> None:
        self._body = body
        self._ready: deque[bytes] = deque()
        self._ended = False

    async def __anext__(self) -> bytes:
        """The next message."""
        while not self._ready and not self._ended:
            await self._read()
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def aclose(self) -> None:
        """End what makes the body."""
        await self._body.aclose()

    async def _read(self) -> None:
        try:
            chunk = await anext(self._body, None)
        except ServingError as error:
            log.exception("a streamed answer breaks off", exc_info=error.__cause__ or error)
            self._ended = True
            self._ready.append(broken(error))
            return
        self._ended = chunk is None
        self._ready.extend(parts(chunk or b""))


class Begun(AsyncIterator[bytes]):
    """A streamed body whose first chunk was made: it has not failed at once."""

    def __init__(self, first: bytes | None, rest: AsyncIterator[bytes]) -> None:
        """Put the first chunk back in front of the rest; None: the body is empty."""
        self._first = first
        self._empty = first is None
        self._rest = rest

    async def __anext__(self) -> bytes:
        """The next chunk. Raises what the body does."""
        if self._empty:
            raise StopAsyncIteration
        if self._first is None:
            return await anext(self._rest)
        first, self._first = self._first, None
        return first

    async def aclose(self) -> None:
        """End what makes the body."""
        await close(self._rest)


async def begin(body: AsyncIterator[bytes]) -> Begun:
    """Wait for the first chunk of a body. Raises what the body does; then it is closed."""
    async with AsyncExitStack() as undo:
        undo.push_async_callback(close, body)
        first = await anext(body, None)
        undo.pop_all()
    return Begun(first, body)
