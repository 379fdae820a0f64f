"""Requests and responses in parts, for hosts that others wrap in a protocol.

What is here is what makes all hosts answer alike: how repeated fields are read, and which fields a
response may have.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from serving import problems
from serving.errors import PayloadTooLarge, PredictionError, ServingError
from serving.values import Request, Response

BODILESS = frozenset({204, 304})
"""Statuses whose responses end with the head (RFC 9112, 6.3)."""

Fields = tuple[tuple[str, str], ...]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "content-type", "date"})


class Whole(NamedTuple):
    """A response as a host takes it that cannot send a stream."""

    status: int
    headers: Fields
    """All fields, the Content-Type first, names in lower case; none that frames the message."""
    body: bytes

    @classmethod
    def of(cls, response: Response, body: bytes) -> "Whole":
        """A response that is fit to be sent, with the whole body."""
        return cls(
            response.status,
            fields(response.status, response.content_type, response.headers),
            body,
        )


def headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header fields as a Request has them: lower-case names, repeated ones joined by ", "."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
    return found


def body_too_large(limit: int) -> ServingError:
    """The error for a request's body of more bytes than the limit."""
    return PayloadTooLarge(
        f"The body is larger than {limit} bytes; SAGEMAKER_MAX_PAYLOAD_IN_MB sets the limit."
    )


def fields(status: int, content_type: str, others: Fields) -> Fields:
    """The header fields of a response, the Content-Type first, names in lower case.

    None frames the message: that is the protocol's.

    Raises:
        PredictionError: the status or a field would break the message: a script may have set it.
    """
    if not 200 <= status <= 599:
        raise PredictionError(f"The response has status {status}, which is not from 200 to 599.")
    for name, _ in others:
        if not _TOKEN.fullmatch(name) or name.lower() in _FRAMING:
            raise PredictionError(f"The response has a header field {name!r}, which it may not.")
    typed = (("content-type", content_type),) if content_type else ()
    found = tuple((name.lower(), value) for name, value in (*typed, *others))
    for name, value in found:
        if _BAD_VALUE.search(value):
            raise PredictionError(
                f"The response's header field {name!r} has a line break, a control character or "
                f"one outside Latin-1."
            )
    return found


def fit(response: Response, request: Request) -> Response:
    """A response fit to be sent: an error where it may not be, and without the body that is not.

    A stream in the answer is that of ``response``; where there is none, it has to be closed.
    """
    checked = problems.attempt(fields, response.status, response.content_type, response.headers)
    if isinstance(checked, Response):
        return checked
    if request.method == "HEAD" or response.status in BODILESS:
        return response._replace(body=b"")
    return response
