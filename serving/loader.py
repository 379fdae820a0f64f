"""Models loaded in threads of their own, while the event loop goes on."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from serving import loading
from serving.batching import Batcher
from serving.engines import programs
from serving.entry import Answering, Entry, State
from serving.errors import ConfigurationError, DeviceLost, InsufficientStorage, ModelLoadError
from serving.gpu import Gpus
from serving.loading import Loaded
from serving.problems import catch
from serving.service import Service, Tools
from serving.settings import Settings

log = logging.getLogger("serving")

Changed = Callable[[Entry], None]


class OwnProcess(Answering, Protocol):
    """A model in a process of its own."""

    @property
    def engine(self) -> str:
        """Of the model, once it is loaded."""

    @property
    def starved(self) -> bool:
        """Whether it could not be loaded for want of memory."""

    def on_gpu(self) -> bool:
        """Whether it uses a GPU now."""


class Fork(Protocol):
    """Begins to load a model directory in a process of its own."""

    def __call__(
        self,
        name: str,
        folder: Path,
        *,
        settings: Settings,
        settled: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> OwnProcess:
        """``settings`` are the model's own.

        ``settled`` hears why the model cannot be loaded, or an empty text: it is. ``lost`` hears
        why a model that was loaded cannot answer any more.
        """


class Loader:
    """Loads models. Its methods are called on the event loop."""

    def __init__(self, tools: Tools, fork: Fork | None = None, gpus: Gpus | None = None) -> None:
        """Make it; where there is ``fork``, a model with a script gets a process of its own."""
        self.gpus = gpus or Gpus()
        """On which it places models, and measures what they take."""
        self._tools = tools
        self._fork = fork

    def load(self, name: str, folder: Path, changed: Changed) -> Entry:
        """Begin to load a model directory in a thread; ``changed`` hears of the outcome.

        It is called once more if the model breaks: a prediction hangs, or loses the device. A model
        for which there is no memory has failed with InsufficientStorage.
        """
        entry = Entry(name, folder)
        if self._fork is not None and self._has_script(folder):
            self._load_apart(entry, self._fork, changed)
        else:
            self._load_here(entry, changed)
        return entry

    def _has_script(self, folder: Path) -> bool:
        with suppress(ModelLoadError):  # it is raised again where the model is loaded
            return programs.find(folder, self._tools.settings) is not None
        return False

    def _load_apart(self, entry: Entry, fork: Fork, changed: Changed) -> None:
        started = time.monotonic()
        part = self.gpus.begin()

        def settled(reason: str) -> None:
            part.on_gpu = not reason and process.on_gpu()
            self.gpus.end(part)
            if reason:
                starved = process.starved
                entry.failed(reason, _starved(entry, reason) if starved else ModelLoadError(reason))
            else:
                entry.engine, entry.bytes = process.engine, process.memory()
                entry.gpu_bytes, entry.on_gpu = part.bytes, part.bytes > 0
                entry.ready(process)
                self._tools.metrics.load_seconds = time.monotonic() - started
            changed(entry)

        def lost(reason: str) -> None:
            entry.ended(reason)
            changed(entry)

        settings = loading.placed(self._tools.settings, part)
        process = fork(entry.name, entry.folder, settings=settings, settled=settled, lost=lost)

    def _load_here(self, entry: Entry, changed: Changed) -> None:
        folder = entry.folder
        settings, loop = self._tools.settings, self._tools.loop
        started = time.monotonic()
        timer = loop.call_later(settings.startup_timeout, self._late, entry, changed)

        def work() -> None:
            outcome = catch(loading.load, folder, settings, self.gpus)
            with suppress(RuntimeError):  # the loop is closed: nobody waits for the model
                loop.call_soon_threadsafe(settle, outcome)

        def settle(outcome: Loaded | BaseException) -> None:
            timer.cancel()
            self._settle(entry, outcome, time.monotonic() - started, changed)

        threading.Thread(target=work, name=f"load-{entry.name}", daemon=True).start()

    def _settle(
        self, entry: Entry, outcome: Loaded | BaseException, seconds: float, changed: Changed
    ) -> None:
        if isinstance(outcome, BaseException):
            reason = loading.reason(outcome)
            told = f"The model failed to load: {reason}"
            starved = loading.starved(outcome)
            entry.failed(told, _starved(entry, told) if starved else outcome)
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
            entry.gpu_bytes = outcome.gpu_bytes
            entry.on_gpu = loading.runs_on_gpu(outcome.model)
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
        return Service(model, batcher, self._tools, loaded.bytes)

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


def _starved(entry: Entry, reason: str) -> InsufficientStorage:
    """What a load failed with for want of memory. The error itself would hold what it had got."""
    return InsufficientStorage(f"There is no memory for model {entry.name}. {reason}")
