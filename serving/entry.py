"""A named model: where it is in its life, and what answers for it."""

import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Protocol

from serving.call import Reply
from serving.errors import ModelNotReady
from serving.values import Request


class Answering(Protocol):
    """What answers for a model: a Service, or a process of the model's own."""

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer a request, now or later. Raises ServingError."""

    def memory(self) -> int:
        """Bytes that the model takes now. May be called in any thread."""

    def finish(self, done: Callable[[], None]) -> None:
        """Answer what was begun, then close; ``done`` is called after that."""

    def close(self) -> None:
        """Let go of the model at once."""


class State(Enum):
    """Where a model is in its life."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    BROKEN = "broken"
    """It answers still, but its process has to be replaced."""
    ENDED = "ended"
    """Its own process has ended by itself."""


class Entry:
    """A named model, at first without the model."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.engine = ""
        """Once it is loaded."""
        self.bytes = 0
        """Of memory, once it is loaded."""
        self.gpu_bytes = 0
        """Of the GPU's memory, as measured when it was loaded."""
        self.on_gpu = False
        """Whether it runs on a GPU, once it is loaded."""
        self.since = time.time()
        """When its state last changed, in seconds since 1970."""
        self.state = State.LOADING
        self.reason = f"The model is loading from {folder}."
        """Why the model cannot answer, while it cannot."""
        self.error: BaseException = ModelNotReady(self.reason)
        """What the load failed with, once it has."""
        self._answering: Answering | None = None

    def ready(self, answering: Answering) -> None:
        """The model is loaded and has answered its warm-up."""
        self._answering = answering
        self._become(State.READY)

    def failed(self, reason: str, error: BaseException | None = None) -> None:
        """The model cannot be loaded."""
        self.reason = reason
        self.error = error or ModelNotReady(reason)
        self._become(State.FAILED)

    def broken(self, reason: str) -> None:
        """The model answers still, but its process has to be replaced."""
        self.reason = reason
        self._become(State.BROKEN)

    def ended(self, reason: str) -> None:
        """The model's own process has ended by itself."""
        self.reason = reason
        self._answering = None
        self._become(State.ENDED)

    def use(self) -> Answering:
        """What answers for the model.

        Raises:
            ModelNotReady: it is loading, or failed to load; says which and why.
        """
        if self._answering is None:
            raise ModelNotReady(self.reason)
        return self._answering

    def check(self) -> None:
        """Return if all is well with the model. Raises ModelNotReady with the reason if not."""
        if self.state is not State.READY:
            raise ModelNotReady(self.reason)

    def memory(self) -> int:
        """Bytes that the model takes now; as it was told where there is none any more."""
        answering = self._answering
        return answering.memory() if answering is not None else self.bytes

    def finish(self, done: Callable[[], None]) -> None:
        """Answer what was begun, then let go of the model; ``done`` is called after that."""
        answering, self._answering = self._answering, None
        if answering is not None:
            answering.finish(done)
        else:
            done()

    def close(self) -> None:
        """Let go of the model at once."""
        answering, self._answering = self._answering, None
        if answering is not None:
            answering.close()

    def _become(self, state: State) -> None:
        self.state = state
        self.since = time.time()
