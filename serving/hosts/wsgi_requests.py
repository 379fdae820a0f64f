"""WSGI's environs into requests."""

import time
from collections.abc import Iterable, Mapping
from typing import IO, Any
from urllib.parse import quote

from serving import problems
from serving.errors import BadRequest
from serving.hosts import messages, mounted
from serving.settings import Settings
from serving.values import Request

PIECE = 1024 * 1024
"""Most bytes of a body that are asked for at once."""

Environ = Mapping[str, Any]


def read(environ: Environ, path: str, settings: Settings) -> Request:
    """The request, whole.

    Raises:
        PayloadTooLarge: its body is too large, as it says or as it came; no more was read.
        BadRequest: its body broke off, or has no length that this web server knows of.
        NotImplementedByServer: its body has a coding besides the chunks.
    """
    whole = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    # What gunicorn calls the one, waitress, mod_wsgi and uWSGI call the other.
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or quote(whole.encode("latin-1"))
    headers = messages.headers(_fields(environ))
    mounted.check_body(headers, settings.max_body)
    body = _body(environ, settings.max_body)
    return Request(
        environ["REQUEST_METHOD"],
        path,
        headers,
        body,
        environ.get("QUERY_STRING", ""),
        time.monotonic() + settings.request_timeout,
        target.partition("?")[0],
    )


def _fields(environ: Environ) -> Iterable[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[len("HTTP_") :].replace("_", "-"), value
        elif name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            yield name.replace("_", "-"), value


def _body(environ: Environ, limit: int) -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if length and not length.isdecimal():
        raise BadRequest(f"Content-Length {length!r} is no number of bytes.")
    if length:
        body = _read(environ["wsgi.input"], int(length))
        if len(body) < int(length):
            raise BadRequest("The request ended before it was complete.")
        return body
    if environ.get("wsgi.input_terminated"):
        body = _read(environ["wsgi.input"], limit + 1)
        if len(body) > limit:
            raise messages.body_too_large(limit)
        return body
    if "HTTP_TRANSFER_ENCODING" in environ:
        raise BadRequest("This web server does not say where a chunked body ends; send its length.")
    return b""


def _read(stream: IO[bytes], most: int) -> bytes:
    """What a stream has, up to so many bytes. Raises BadRequest if it cannot be read."""
    body = problems.catch(_read_all, stream, most)
    if isinstance(body, BaseException):  # each web server has errors of its own
        reason = f"{type(body).__name__}: {body}"
        raise BadRequest(f"The request's body cannot be read: {reason}.") from body
    return body


def _read_all(stream: IO[bytes], most: int) -> bytes:
    body = bytearray()
    while len(body) < most and (piece := stream.read(min(PIECE, most - len(body)))):
        body += piece
    return bytes(body)
