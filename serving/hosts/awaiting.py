"""Answers that are awaited, on an event loop of asyncio: whole, or streams that have begun."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from serving import problems
from serving.call import Handler
from serving.collecting import close, collect
from serving.errors import ServingError
from serving.hosts import messages
from serving.values import Request, Response


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

    The body is as `begun` gives it.
    """
    answered = asyncio.get_running_loop().create_future()
    handle(request, Pending(answered))
    return await begun(await answered, request)


async def begun(response: Response, request: Request) -> Response:
    """A response, fit to be sent.

    The body is whole, or a stream whose first chunk is there: a stream that fails before it is a
    clean error. What is not read to its end has to be given to `close`.
    """
    found = messages.fit(response, request)
    if found.body is not response.body:
        await close(response.body)
    if isinstance(found.body, bytes):
        return found
    return await _first(found, found.body)


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


async def _first(response: Response, body: AsyncIterator[bytes]) -> Response:
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
