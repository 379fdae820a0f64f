"""Requests and responses in parts, for hosts that others wrap in a protocol.

What is here is what makes all hosts answer alike: how repeated fields are read, which fields a
response may have, and when the first byte of a stream decides what its status is.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from typing import cast

from serving import problems
from serving.call import Handler
from serving.collecting import close, collect
from serving.errors import PayloadTooLarge, PredictionError, ServingError
from serving.values import Request, Response

BODILESS = frozenset({204, 304})
"""Statuses whose responses end with the head (RFC 9112, 6.3)."""

Fields = tuple[tuple[str, str], ...]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "content-type", "date"})


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


class Pending:
    """The reply channel of a request whose answer is awaited."""

    def __init__(self, answered: asyncio.Future[Response]) -> None:
        self._answered = answered

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._answered.cancelled()

    def send(self, response: Response) -> None:
        """Take the answer."""
        if not self._answered.done():
            self._answered.set_result(response)


async def answer(handle: Handler, request: Request) -> Response:
    """The response to a request, fit to be sent; to cancel this is to abandon the request.

    The body is whole, or a stream whose first chunk is there: a stream that fails before it is a
    clean error. What is not read to its end has to be given to `close`.
    """
    answered = asyncio.get_running_loop().create_future()
    handle(request, Pending(answered))
    response: Response = await answered
    checked = problems.attempt(fields, response.status, response.content_type, response.headers)
    if isinstance(checked, Response):
        await close(response.body)
        return checked
    if request.method == "HEAD" or response.status in BODILESS:
        await close(response.body)
        return response._replace(body=b"")
    if isinstance(response.body, bytes):
        return response
    return await _begun(response, response.body)


class Begun(AsyncIterator[bytes]):
    """A stream of which the first chunk is there."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    async def __anext__(self) -> bytes:
        """The next chunk. Raises what makes the chunks."""
        first, self._first = self._first, None
        return await anext(self._rest) if first is None else first

    async def aclose(self) -> None:
        """End it where it stands."""
        await close(self._rest)


async def _begun(response: Response, body: AsyncIterator[bytes]) -> Response:
    try:
        first = await anext(body, None)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a script's generator raises
        await close(body)
        return problems.response(error)
    return response._replace(body=b"" if first is None else Begun(first, body))


async def whole(response: Response, deadline: float) -> tuple[Response, bytes]:
    """The response that `answer` gave, and its body, collected where it is a stream.

    One that breaks off, or has not ended by the deadline, is the error that it breaks off with.
    """
    body = response.body
    if isinstance(body, bytes):
        return response, body
    try:
        return response, await collect(body, deadline)
    except ServingError as error:
        failure = problems.response(error)
        return failure, cast("bytes", failure.body)
