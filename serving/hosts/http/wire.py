"""Responses as bytes (RFC 9112)."""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import cast

from serving.hosts import messages
from serving.hosts.messages import BODILESS
from serving.values import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CLOSE = b"connection: close\r\n"
KEEP_ALIVE = b"connection: keep-alive\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"


@lru_cache(1024)
def head(status: int, content_type: str, headers: messages.Fields) -> bytes:
    """Status line and header fields that depend on nothing but the arguments.

    Raises:
        PredictionError: the status or a field would break the message: a script may have set it.
    """
    found = messages.fields(status, content_type, headers)
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in found)]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


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
