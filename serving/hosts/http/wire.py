"""Responses as bytes (RFC 9112)."""

import re
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import cast

from serving.errors import PredictionError
from serving.values import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CLOSE = b"connection: close\r\n"
KEEP_ALIVE = b"connection: keep-alive\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"

BODILESS = frozenset({204, 304})
"""Statuses whose responses end with the head (RFC 9112, 6.3)."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "content-type", "date"})


@lru_cache(1024)
def head(status: int, content_type: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Status line and header fields that depend on nothing but the arguments.

    Raises:
        PredictionError: the status or a field would break the message: a script may have set it.
    """
    if not 200 <= status <= 599:
        raise PredictionError(f"The response has status {status}, which is not from 200 to 599.")
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status} {phrase}"]
    if content_type:
        lines.append(f"content-type: {_value('content-type', content_type)}")
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or name.lower() in _FRAMING:
            raise PredictionError(f"The response has a header field {name!r}, which it may not.")
        lines.append(f"{name.lower()}: {_value(name, value)}")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


def _value(name: str, value: str) -> str:
    if _BAD_VALUE.search(value):
        raise PredictionError(
            f"The response's header field {name!r} has a line break, a control character or one "
            f"outside Latin-1."
        )
    return value


def length(status: int, body: bytes) -> bytes:
    """The Content-Length field; empty where there is no body to have one (RFC 9110, 8.6)."""
    return b"" if status in BODILESS else b"content-length: %d\r\n" % len(body)


def plain(response: Response) -> tuple[Response, bytes]:
    """A response of the toolkit's own making, and its body, which never is a stream."""
    return response, cast("bytes", response.body)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; ``data`` is not empty, since an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def date() -> bytes:
    """The Date field for now."""
    return b"date: %b\r\n" % formatdate(time.time(), usegmt=True).encode()
