"""A name in the registry: its model, once it is loaded, and until then those who wait for it."""

import asyncio
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple

from serving.admission import overloaded
from serving.call import Reply
from serving.entry import Entry
from serving.errors import ModelNotReady, ServingError
from serving.metrics import Metrics
from serving.problems import attempt, response
from serving.values import Request, Response

Settled = Callable[[BaseException | None], None]
"""Hears that a model is loaded, or why not."""


class Failure(NamedTuple):
    """Why a model could not be loaded, and when that was."""

    kind: type[ServingError]
    message: str
    at: float
    """On the clock of time.monotonic()."""

    def error(self) -> ServingError:
        """What a client is told: a new one each time, since an error grows when it is raised."""
        return self.kind(self.message)


class Place:
    """What the registry knows of one model."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        stays: bool,
        follows: bool,
        returns: bool = False,
        replaces: "Place | None" = None,
    ) -> None:
        self.name = name
        self.url = url
        self.stays = stays
        """It is never evicted."""
        self.follows = follows
        """It is loaded anew when what lies at its address has changed."""
        self.returns = returns
        """It was loaded before: where that fails now, it keeps its name, to be tried again."""
        self.failure: Failure | None = None
        """Why it could not be loaded again, until that is tried."""
        self.leaves = False
        """It is unloaded as soon as it is loaded."""
        self.replaces = replaces
        """An older version, which answers until this one can."""
        self.folder = Path()
        """The model directory, once it is there."""
        self.let_go: Callable[[], None] = lambda: None
        """Called when nothing of the model directory is used any more."""
        self.version: Hashable = None
        """Of the directory."""
        self.size = 0
        """Of the directory, in bytes."""
        self.bytes = 0
        """Of memory: measured, or expected while it loads."""
        self.gpu_bytes = 0
        """Of the GPU's memory, likewise."""
        self.displaces = False
        """Others have left the GPU for it."""
        self.entry: Entry | None = None
        """None: it is not loaded yet."""
        self.checked = time.monotonic()
        """When its address was last looked at."""
        self.refused: Hashable = ()
        """A newer version that cannot be loaded."""
        self.settled: list[Settled] = []
        self._waiting: list[_Waiting] = []

    def wait(
        self,
        request: Request,
        reply: Reply,
        loop: asyncio.AbstractEventLoop,
        most: int,
        metrics: Metrics,
    ) -> None:
        """Keep a request until the model is loaded, or its time is over.

        Raises:
            Overloaded: as many wait as may.
        """
        if len(self._waiting) >= most:
            raise overloaded(len(self._waiting), 0)
        self._waiting.append(_Waiting(request, reply, loop, metrics, self.name))

    def settle(self, error: BaseException | None) -> None:
        """Answer those who wait: the model is loaded, or never will be."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.go_on(self.entry, error)
        settled, self.settled = self.settled, []
        for hears in settled:
            hears(error)


class _Waiting:
    """A request for a model that is loading."""

    def __init__(
        self,
        request: Request,
        reply: Reply,
        loop: asyncio.AbstractEventLoop,
        metrics: Metrics,
        name: str,
    ) -> None:
        self._request = request
        self._reply = reply
        self._metrics = metrics
        self._name = name
        self._began = time.monotonic()
        self._answered = False
        delay = min(request.deadline - self._began, 86_400.0)
        self._timer = loop.call_later(max(0.0, delay), self._expire)

    def go_on(self, entry: Entry | None, error: BaseException | None) -> None:
        """Ask the model, or answer with the error."""
        self._timer.cancel()
        if self._answered or self._reply.gone:
            return
        if entry is None or error is not None:
            self._refuse(error or ModelNotReady(f"{self._name} is not loaded."))
            return
        answer = attempt(entry.use().handle, self._request, self._reply)
        if answer is not None:
            self._answer(answer)

    def _expire(self) -> None:
        self._refuse(ModelNotReady(f"The model {self._name} is loading still; try again later."))

    def _refuse(self, error: BaseException) -> None:
        self._answer(response(error, self._request))

    def _answer(self, answer: Response) -> None:
        self._answered = True
        self._metrics.answered(answer.status, time.monotonic() - self._began)
        self._reply.send(answer)
