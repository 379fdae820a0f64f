"""A script's generator as a response's body: each chunk made in a thread, when it is wanted."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

from serving.errors import ServingError
from serving.lane import Lane
from serving.problems import catch

_END: Any = object()

Source = Iterator[Any] | AsyncIterator[Any]


class Stream(AsyncIterator[bytes]):
    """The chunks of a generator, which runs in a thread of its own.

    It runs beside the model's thread, so that a long answer does not hold up the others. An
    asynchronous generator runs in an event loop of that thread: whatever it does, the server's own
    loop goes on.
    """

    def __init__(
        self,
        source: Source,
        convert: Callable[[Any], bytes],
        failure: Callable[[BaseException], ServingError],
    ) -> None:
        """Take a generator, what makes bytes of its values, and what an error of it becomes."""
        self._source = source
        self._convert = convert
        self._failure = failure
        self._lane: Lane | None = None
        self._runner: asyncio.Runner | None = None

    async def __anext__(self) -> bytes:
        """The next chunk. Raises ServingError where the generator fails."""
        value = await self._in_thread(self._step)
        if value is _END:
            await self.aclose()
            raise StopAsyncIteration
        if isinstance(value, BaseException):
            raise self._failure(value) from value
        chunk: bytes = value
        return chunk

    async def aclose(self) -> None:
        """End the generator where it stands: its ``finally`` runs. Does nothing a second time."""
        if self._lane is not None:
            lane = self._lane
            closed = asyncio.shield(self._in_thread(self._close))
            self._lane = None
            lane.close()
            await closed

    def _in_thread(self, job: Callable[[], Any]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if self._lane is None:
            self._lane = Lane("stream", loop)
        future = loop.create_future()
        self._lane.run(partial(catch, job), partial(_settle, future))
        return future

    def _step(self) -> Any:
        if isinstance(self._source, Iterator):
            value = next(self._source, _END)
        else:
            value = self._run(_next(self._source))
        return value if value is _END else self._convert(value)

    def _close(self) -> None:
        if inspect.isgenerator(self._source):
            self._source.close()
        elif isinstance(self._source, AsyncGenerator):
            self._run(self._source.aclose())
        if self._runner is not None:
            self._runner.close()

    def _run(self, awaitable: Any) -> Any:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(awaitable)


async def _next(source: AsyncIterator[Any]) -> Any:
    return await anext(source, _END)


def _settle(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():  # whoever waited may have been cancelled
        future.set_result(value)
