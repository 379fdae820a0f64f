"""A streamed body's way from a model's process to the server: a chunk whenever one is wanted.

So a generator in a script runs no further than its client reads, as it does without a process in
between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from serving.errors import ServingError


class Source:
    """The end in the model's process: makes a chunk for each that was wanted."""

    def __init__(
        self,
        body: AsyncIterator[bytes],
        loop: asyncio.AbstractEventLoop,
        send: Callable[[bytes], None],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        """Begin to wait for what is wanted.

        Args:
            body: Where the chunks come from; it is closed at the end, if it can be.
            loop: The event loop.
            send: Takes each chunk.
            ended: Called at the end of the body, with what broke it off if something did; not
                after it was cancelled.
        """
        self._body = body
        self._send = send
        self._ended = ended
        self._wanted = asyncio.Semaphore(0)
        self.task = loop.create_task(self._run())
        self.task.add_done_callback(self._done)

    def want(self) -> None:
        """Make another chunk."""
        self._wanted.release()

    def cancel(self) -> None:
        """Stop: nobody waits for more."""
        self.task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._wanted.acquire()
                chunk = await anext(self._body, None)
                if chunk is None:
                    return
                self._send(chunk)
        finally:
            close = getattr(self._body, "aclose", None)
            if close is not None:
                await close()

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._ended(task.exception())


class Body(AsyncIterator[bytes]):
    """The end in the server: the body of a response."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        want: Callable[[], None],
        cancel: Callable[[], None],
    ) -> None:
        """Make it; ``want`` asks for a chunk, and ``cancel`` says that no more are wanted."""
        self._loop = loop
        self._want = want
        self._cancel = cancel
        self._next: asyncio.Future[bytes | None] | None = None
        self._error: ServingError | None = None
        self._ended = False

    async def __anext__(self) -> bytes:
        """The next chunk. Raises ServingError where the model's process breaks off."""
        chunk = None
        if not self._ended:
            self._next = self._loop.create_future()
            self._want()
            chunk = await self._next
        if self._error is not None:
            raise self._error
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Stop what makes the chunks. Does nothing a second time."""
        if not self._ended:
            self._ended = True
            self._cancel()

    def take(self, chunk: bytes | None) -> None:
        """A chunk has come."""
        if self._next is not None and not self._next.done():  # who waited may have been cancelled
            self._next.set_result(chunk)

    def end(self, error: ServingError | None = None) -> None:
        """No more will come, because of an error if one is given."""
        self._ended = True
        self._error = error
        self.take(None)
