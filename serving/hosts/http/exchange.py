"""One request on a connection and the response to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from serving import collecting, problems
from serving.hosts import messages
from serving.hosts.http import wire
from serving.values import Response

if TYPE_CHECKING:
    from serving.hosts.http.connection import Connection


class Exchange:
    """The reply channel of a request: keeps the response until its turn to be written comes."""

    __slots__ = ("_connection", "_task", "current", "head_only", "keep_alive", "response")

    def __init__(
        self, connection: "Connection", head_only: bool, current: bool, keep_alive: bool
    ) -> None:
        self._connection = connection
        self.head_only = head_only
        """The request was a HEAD: its response has no body."""
        self.current = current
        """The request was HTTP/1.1, not 1.0: chunks may be sent, and keep-alive goes unsaid."""
        self.keep_alive = keep_alive
        self.response: Response | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._connection.lost

    @property
    def streaming(self) -> bool:
        """Whether the body is being written."""
        return self._task is not None

    def send(self, response: Response) -> None:
        """Take the response and write it if it is its turn."""
        self.response = response
        self._connection.flush()

    def stream(self, response: Response, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to write a body that is made bit by bit."""
        self._task = loop.create_task(self._stream(response))

    def abandon(self) -> None:
        """The client has left: stop what makes the body."""
        if self._task is not None:
            self._task.cancel()

    async def _stream(self, response: Response) -> None:
        connection = self._connection
        body = cast("AsyncIterator[bytes]", response.body)
        bodiless = self.head_only or response.status in messages.BODILESS
        chunked = self.current and response.status not in messages.BODILESS
        begun = False
        try:
            async with _closing(body):
                # The head waits for the first chunk: a body that fails at once is a clean error.
                data = None if bodiless else await anext(body, None)
                if not self.current:
                    self.keep_alive = False  # the end of the connection is the end of the body
                framing = wire.CHUNKED if chunked else b""
                connection.write(connection.head(self, response, framing))
                begun = True
                while data is not None and not self.gone:
                    if data:
                        connection.write(wire.chunk(data) if chunked else data)
                        await connection.writable()
                    data = await anext(body, None)
            if chunked and not bodiless:
                connection.write(wire.LAST_CHUNK)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a script's generator raises
            failure = problems.response(error)
            if begun:
                connection.break_off(reset=not chunked)
            else:
                self._task = None
                self.send(failure)
        else:
            connection.streamed()


@asynccontextmanager
async def _closing(body: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """Let what makes the body clean up, however it ends."""
    try:
        yield
    finally:
        await collecting.close(body)
