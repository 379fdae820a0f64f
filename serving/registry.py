"""The models a server has: their states, and the way from a name to one that can answer."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import ParamSpec, TypeVar

from serving import engines, warmup
from serving.batching import Batcher, Cost
from serving.errors import ConfigurationError, DeviceLost, ModelNotReady, NotFound
from serving.metrics import Metrics
from serving.model import Model
from serving.problems import catch
from serving.settings import Settings

log = logging.getLogger("serving")

P = ParamSpec("P")
T = TypeVar("T")

SINGLE = "model"
"""Name of the one model of a server that was given one."""


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
        self.state = State.LOADING
        self.reason = f"The model is loading from {folder}."
        """Why the model cannot answer, while it cannot."""
        self._loaded: tuple[Model, Batcher] | None = None

    def ready(self, model: Model, batcher: Batcher) -> None:
        """The model is loaded and has answered its warm-up."""
        self._loaded = model, batcher
        self.state = State.READY

    def failed(self, reason: str) -> None:
        """The model cannot be loaded."""
        self.reason = reason
        self.state = State.FAILED

    def broken(self, reason: str) -> None:
        """The model answers still, but its process has to be replaced."""
        self.reason = reason
        self.state = State.BROKEN

    def use(self) -> tuple[Model, Batcher]:
        """The model and its queue.

        Raises:
            ModelNotReady: it is loading, or failed to load; says which and why.
        """
        if self._loaded is None:
            raise ModelNotReady(self.reason)
        return self._loaded

    def check(self) -> None:
        """Return if all is well with the model. Raises ModelNotReady with the reason if not."""
        if self.state is not State.READY:
            raise ModelNotReady(self.reason)

    def close(self) -> None:
        """End the model's thread."""
        if self._loaded is not None:
            self._loaded[1].close()


class Registry:
    """All models of a process, by name. Its methods are called on the event loop."""

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        metrics: Metrics | None = None,
    ) -> None:
        self._settings = settings
        self._loop = loop
        self._metrics = metrics or Metrics()
        self._entries: dict[str, Entry] = {}

    def load(self, name: str, folder: Path, changed: Callable[[Entry], None]) -> Entry:
        """Begin to load a model directory in a thread; ``changed`` hears of the outcome.

        It is called once more if the model breaks: a prediction hangs, or loses the device.
        """
        entry = self._entries[name] = Entry(name, folder)

        def hung() -> None:
            entry.broken(
                f"A prediction of the model did not return within "
                f"{self._settings.request_timeout:g} s."
            )
            log.error("model %s is stuck: %s", name, entry.reason)
            changed(entry)

        def lost(error: DeviceLost) -> None:
            if entry.state is State.READY:
                entry.broken(str(error))
                log.error("model %s cannot answer any more: %s", name, entry.reason)
                changed(entry)

        started = time.monotonic()
        limit = self._settings.startup_timeout

        def late() -> None:
            entry.failed(f"The model has not loaded within {limit:g} s.")
            log.error("model %s is late: %s", name, entry.reason)
            changed(entry)

        timer = self._loop.call_later(limit, late)

        def work() -> None:
            outcome = catch(_load, folder, self._settings)
            with suppress(RuntimeError):  # the loop is closed: nobody waits for the model
                self._loop.call_soon_threadsafe(settle, outcome)

        def settle(outcome: tuple[Model, Cost] | BaseException) -> None:
            timer.cancel()
            seconds = time.monotonic() - started
            if isinstance(outcome, BaseException):
                entry.failed(f"The model failed to load: {_reason(outcome)}")
                own = isinstance(outcome, ConfigurationError) and outcome.__cause__ is None
                log.error(
                    "model %s failed to load after %.2f s: %s",
                    name,
                    seconds,
                    _reason(outcome),
                    exc_info=None if own else outcome,
                )
            else:
                model, cost = outcome
                model = _watched(model, lambda error: self._loop.call_soon_threadsafe(lost, error))
                settings = self._settings
                batcher = Batcher(
                    model,
                    cost,
                    self._loop,
                    max_rows=settings.max_batch_rows,
                    max_queue=settings.max_queue,
                    metrics=self._metrics,
                    patience=settings.request_timeout,
                    hung=hung,
                )
                entry.ready(model, batcher)
                self._metrics.load_seconds = seconds
                log.info("model %s (%s) ready after %.2f s", name, model.engine, seconds)
            changed(entry)

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
            entry.close()


def _load(folder: Path, settings: Settings) -> tuple[Model, Cost]:
    model = engines.load(folder, settings)
    return model, warmup.measure(model)


def _watched(model: Model, lost: Callable[[DeviceLost], object]) -> Model:
    """The model, which says so, in whatever thread, when it has lost its device.

    Only those on a GPU, and those of scripts, which may use one, are watched.
    """

    def watch(step: Callable[P, T]) -> Callable[P, T]:
        def watched(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return step(*args, **kwargs)
            except DeviceLost as error:
                lost(error)
                raise

        return watched

    if not model.foreign and model.devices == ("cpu",):
        return model
    return replace(
        model,
        decode=watch(model.decode),
        predict=watch(model.predict),
        encode=watch(model.encode),
    )


def _reason(error: BaseException) -> str:
    known = isinstance(error, ConfigurationError)
    return str(error) if known else f"{type(error).__name__}: {error}"
