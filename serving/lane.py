"""A thread that runs one job after another for an event loop."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class Lane:
    """Runs jobs in a thread of its own and hands each result back to the loop.

    The thread begins with the first job: of a thousand models most never need one. It is a daemon:
    a job that never returns must not keep the process from ending, which is what the thread pools
    of the standard library do.
    """

    def __init__(self, name: str, loop: "asyncio.AbstractEventLoop") -> None:
        self._name = name
        self._loop = loop
        self._started = False
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = (
            SimpleQueue()
        )

    def run(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Run ``job``, which must not raise, and call ``then`` with its value on the loop."""
        self._jobs.put((job, then))
        if not self._started:
            self._started = True
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def close(self) -> None:
        """End the thread after the jobs it has."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, then = entry
            value = job()
            try:
                self._loop.call_soon_threadsafe(then, value)
            except RuntimeError:  # the loop is closed: nobody waits for the value
                return
            # A thread that waits must not hold a model, or the data of its last batch.
            del entry, job, then, value
