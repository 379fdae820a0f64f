"""A site on a thread of its own, for hosts that ask and wait for the answer."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from serving import collecting
from serving.entry import State
from serving.hosts import awaiting, messages
from serving.hosts.messages import Whole
from serving.hosts.site import Site
from serving.settings import Settings
from serving.values import Request

T = TypeVar("T")


class Answer(NamedTuple):
    """A response as a host that waits takes it."""

    status: int
    headers: messages.Fields
    """All fields, the Content-Type first, names in lower case; none that frames the message."""
    body: "bytes | Chunks"
    """Whole, or bit by bit as it is made."""


class Background:
    """A site at work in another thread. Its methods may be called in any thread."""

    def __init__(
        self,
        settings: Settings,
        folder: Path | None,
        told: Callable[[State, str], None] = lambda _state, _reason: None,
    ) -> None:
        """Begin to load; the arguments are Site's. ``told`` is called in the other thread.

        Raises:
            SettingError: as Site does.
        """
        self._told = told
        self._settled: Future[tuple[State, str]] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="site", daemon=True)
        self._thread.start()
        with ExitStack() as undo:
            undo.callback(self._end)
            self._site = self._wait(Site.opened(settings, folder, self._hear))
            undo.pop_all()

    def settled(self, timeout: float | None = None) -> tuple[State, str]:
        """Wait until the model is READY, or has FAILED, which comes with the reason.

        Raises:
            TimeoutError: it did neither in so many seconds.
        """
        return self._settled.result(timeout)

    def ask(self, request: Request) -> Answer:
        """The answer to a request, whatever it is; raises nothing."""
        return self._wait(self._ask(request))

    def ask_whole(self, request: Request) -> Whole:
        """The answer to a request, whatever it is, with its body whole; raises nothing.

        A stream that breaks off, or has not ended by the request's deadline, is an error.
        """
        return self._wait(self._ask_whole(request))

    def close(self) -> None:
        """Let asynchronous invocations end, then the site and the thread."""
        self._wait(self._site.drain())
        self._wait(self._site.close())
        self._end()

    def _hear(self, state: State, reason: str) -> None:
        if not self._settled.done():
            self._settled.set_result((state, reason))
        self._told(state, reason)

    async def _ask(self, request: Request) -> Answer:
        response = await awaiting.answer(self._site.handle, request)
        fields = messages.fields(response.status, response.content_type, response.headers)
        body = response.body
        if not isinstance(body, bytes):
            return Answer(response.status, fields, Chunks(body, self._wait))
        return Answer(response.status, fields, body)

    async def _ask_whole(self, request: Request) -> Whole:
        response = await awaiting.answer(self._site.handle, request)
        response, body = await awaiting.whole(response, request.deadline)
        return Whole.of(response, body)

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Chunks(Iterator[bytes]):
    """A stream's chunks, each made when it is wanted."""

    def __init__(
        self, body: AsyncIterator[bytes], wait: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self._body = body
        self._wait = wait

    def __next__(self) -> bytes:
        """The next chunk. Raises ServingError where what makes them fails."""
        chunk = self._wait(_next(self._body))
        if chunk is None:
            raise StopIteration
        found: bytes = chunk
        return found

    def close(self) -> None:
        """End the stream where it stands; does nothing at its end, or a second time."""
        self._wait(collecting.close(self._body))


async def _next(body: AsyncIterator[bytes]) -> bytes | None:
    return await anext(body, None)
