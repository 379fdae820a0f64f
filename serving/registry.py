"""The models a server has: their states, and the way from a name to one that can answer."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Protocol

from serving import loading
from serving.batching import Batcher
from serving.call import Reply
from serving.errors import ConfigurationError, DeviceLost, ModelNotReady, NotFound
from serving.loading import Loaded
from serving.problems import catch
from serving.service import Service, Tools
from serving.values import Request

log = logging.getLogger("serving")

SINGLE = "model"
"""Name of the one model of a server that was given one."""


class Answering(Protocol):
    """What answers for a model: a Service, or a process of the model's own."""

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer a request, now or later. Raises ServingError."""

    def finish(self, done: Callable[[], None]) -> None:
        """Answer what was begun, then close; ``done`` is called after that."""

    def close(self) -> None:
        """End at once."""


class State(Enum):
    """Where a model is in its life."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    BROKEN = "broken"
    """It answers still, but its process has to be replaced."""


class Entry:
    """A named model, at first without the model."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.engine = ""
        """Once it is loaded."""
        self.bytes = 0
        """Of memory, once it is loaded."""
        self.since = time.time()
        """When its state last changed, in seconds since 1970."""
        self.state = State.LOADING
        self.reason = f"The model is loading from {folder}."
        """Why the model cannot answer, while it cannot."""
        self._answering: Answering | None = None

    def ready(self, answering: Answering) -> None:
        """The model is loaded and has answered its warm-up."""
        self._answering = answering
        self._become(State.READY)

    def failed(self, reason: str) -> None:
        """The model cannot be loaded."""
        self.reason = reason
        self._become(State.FAILED)

    def broken(self, reason: str) -> None:
        """The model answers still, but its process has to be replaced."""
        self.reason = reason
        self._become(State.BROKEN)

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

    def release(self) -> Answering | None:
        """What answers for the model, if anything; the entry lets go of it."""
        answering, self._answering = self._answering, None
        return answering

    def _become(self, state: State) -> None:
        self.state = state
        self.since = time.time()


Changed = Callable[[Entry], None]


class Registry:
    """All models of a process, by name. Its methods are called on the event loop."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._entries: dict[str, Entry] = {}

    def load(self, name: str, folder: Path, changed: Changed) -> Entry:
        """Begin to load a model directory in a thread; ``changed`` hears of the outcome.

        It is called once more if the model breaks: a prediction hangs, or loses the device.
        """
        entry = self._entries[name] = Entry(name, folder)
        settings, loop = self._tools.settings, self._tools.loop
        started = time.monotonic()
        timer = loop.call_later(settings.startup_timeout, self._late, entry, changed)

        def work() -> None:
            outcome = catch(loading.load, folder, settings)
            with suppress(RuntimeError):  # the loop is closed: nobody waits for the model
                loop.call_soon_threadsafe(settle, outcome)

        def settle(outcome: Loaded | BaseException) -> None:
            timer.cancel()
            self._settle(entry, outcome, time.monotonic() - started, changed)

        threading.Thread(target=work, name=f"load-{name}", daemon=True).start()
        return entry

    def find(self, name: str) -> Entry:
        """The entry of that name. Raises NotFound."""
        try:
            return self._entries[name]
        except KeyError:
            raise NotFound(f"There is no model {name!r}.") from None

    def close(self) -> None:
        """End the threads of all models."""
        for entry in self._entries.values():
            answering = entry.release()
            if answering is not None:
                answering.close()

    def _settle(
        self, entry: Entry, outcome: Loaded | BaseException, seconds: float, changed: Changed
    ) -> None:
        if isinstance(outcome, BaseException):
            reason = loading.reason(outcome)
            entry.failed(f"The model failed to load: {reason}")
            own = isinstance(outcome, ConfigurationError) and outcome.__cause__ is None
            log.error(
                "model %s failed to load after %.2f s: %s",
                entry.name,
                seconds,
                reason,
                exc_info=None if own else outcome,
            )
        else:
            entry.engine, entry.bytes = outcome.model.engine, outcome.bytes
            entry.ready(self._service(entry, outcome, changed))
            self._tools.metrics.load_seconds = seconds
            log.info("model %s (%s) ready after %.2f s", entry.name, entry.engine, seconds)
        changed(entry)

    def _service(self, entry: Entry, loaded: Loaded, changed: Changed) -> Service:
        settings, loop = self._tools.settings, self._tools.loop

        def lost(error: DeviceLost) -> None:
            loop.call_soon_threadsafe(self._lost, entry, changed, error)

        model = loading.watched(loaded.model, lost)
        batcher = Batcher(
            model,
            loaded.cost,
            loop,
            max_rows=settings.max_batch_rows,
            max_queue=settings.max_queue,
            metrics=self._tools.metrics,
            patience=settings.request_timeout,
            hung=partial(self._hung, entry, changed),
        )
        return Service(model, batcher, self._tools)

    def _late(self, entry: Entry, changed: Changed) -> None:
        limit = self._tools.settings.startup_timeout
        entry.failed(f"The model has not loaded within {limit:g} s.")
        log.error("model %s is late: %s", entry.name, entry.reason)
        changed(entry)

    def _hung(self, entry: Entry, changed: Changed) -> None:
        limit = self._tools.settings.request_timeout
        entry.broken(f"A prediction of the model did not return within {limit:g} s.")
        log.error("model %s is stuck: %s", entry.name, entry.reason)
        changed(entry)

    def _lost(self, entry: Entry, changed: Changed, error: DeviceLost) -> None:
        if entry.state is State.READY:
            entry.broken(str(error))
            log.error("model %s cannot answer any more: %s", entry.name, entry.reason)
            changed(entry)
