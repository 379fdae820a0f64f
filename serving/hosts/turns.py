"""An event loop for callbacks alone, which runs while somebody waits for an answer.

The core asks no more of a loop, as long as nothing has to be awaited. To import asyncio takes a
third as long as to load a small model, and most functions on Lambda start without it.
"""

import threading
import time
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
Callback = Callable[..., object]


class Timer:
    """A callback to be called later, unless it is cancelled."""

    __slots__ = ("arguments", "callback")

    def __init__(self, callback: Callback, arguments: tuple[Any, ...]) -> None:
        self.callback: Callback | None = callback
        self.arguments = arguments

    def cancel(self) -> None:
        """Do not call it."""
        self.callback = None
        self.arguments = ()

    def run(self) -> None:
        """Call it, if it is to be called."""
        if self.callback is not None:
            self.callback(*self.arguments)


class Turns:
    """Has those methods of a loop of asyncio that the core calls; they mean the same."""

    def __init__(self) -> None:
        self._ready: SimpleQueue[Timer] = SimpleQueue()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._runs = self._stopping = self._closed = False
        self._become = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def call_soon(self, callback: Callback, *arguments: Any) -> Timer:
        """Call it in the next turn."""
        timer = Timer(callback, arguments)
        with self._become:
            if self._closed:
                raise RuntimeError("The loop is closed.")
            if self._loop is None:
                self._ready.put(timer)
            else:
                self._loop.call_soon_threadsafe(timer.run)
        return timer

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Callback, *arguments: Any) -> Timer:
        """Call it after so many seconds, or when the loop runs again."""
        timer = Timer(callback, arguments)
        if self._loop is None:
            heappush(self._timers, (time.monotonic() + delay, next(self._numbers), timer))
        else:
            self._loop.call_later(delay, timer.run)
        return timer

    def create_task(self, coroutine: "Coroutine[Any, Any, T]") -> "asyncio.Task[T]":
        """Begin what awaits something. Only a loop that has become one of asyncio can do it."""
        return self.asyncio().create_task(coroutine)

    def stop(self) -> None:
        """End `run_forever` after this turn, where it runs."""
        self._stopping = self._runs
        if self._runs and self._loop is not None:
            self._loop.stop()

    def run_forever(self) -> None:
        """Call what is due, and wait for more, until `stop` is called."""
        self._runs, self._stopping = True, False
        try:
            if self._loop is not None:
                self._loop.run_forever()
            while not self._stopping:
                self._turn()
        finally:
            self._runs = False

    def asyncio(self) -> "asyncio.AbstractEventLoop":
        """A loop of asyncio, which this one is from now on; it must not be running."""
        import asyncio

        if self._loop is None:
            loop = asyncio.new_event_loop()
            with self._become:
                self._loop = loop
                while not self._ready.empty():
                    loop.call_soon(self._ready.get().run)
            for when, _, timer in self._timers:
                loop.call_later(when - time.monotonic(), timer.run)
        return self._loop

    def close(self) -> None:
        """Call nothing any more."""
        with self._become:
            self._closed = True
        if self._loop is not None:
            self._loop.close()

    def _turn(self) -> None:
        """Call what is due, or what is next."""
        while self._timers and self._timers[0][2].callback is None:
            heappop(self._timers)
        left = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        try:
            self._ready.get(timeout=left).run()
        except Empty:
            heappop(self._timers)[2].run()
