"""From a model directory to a model that has answered, in a thread."""

import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

from serving import engines, footprint, warmup
from serving.batching import Cost
from serving.engines import cuda
from serving.errors import ConfigurationError, DeviceLost, InsufficientStorage, OutOfMemory
from serving.gpu import Gpus, Load
from serving.model import Model
from serving.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

_one_at_a_time = threading.Lock()

LEAST_BYTES = 4096
"""What a model takes, however small: what others free meanwhile may hide all that one of a few
kilobytes does."""


class Loaded(NamedTuple):
    """A model that is loaded, and what it costs."""

    model: Model
    cost: Cost
    bytes: int
    """Of memory."""
    gpu_bytes: int = 0
    """Of the GPU's memory."""


def load(folder: Path, settings: Settings, gpus: Gpus) -> Loaded:
    """Load a model and let it answer its sample.

    One load runs at a time: what it takes in memory could not be told from what others take.

    Raises:
        ConfigurationError: it cannot be loaded, or cannot answer; or whatever a script raises.
    """
    with _one_at_a_time:
        engines.prepare(folder, settings)  # the library is not the model's
        footprint.empty_caches()
        before, part = footprint.meter.read(), gpus.begin()
        try:
            model = engines.load(folder, placed(settings, part))
            cost = warmup.measure(model)
            part.on_gpu = runs_on_gpu(model)
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # they hold what was loaded so far
            raise
        finally:
            gpus.end(part)
        taken = max(LEAST_BYTES, footprint.meter.read() - before)
        return Loaded(model, cost, taken, part.bytes)


def runs_on_gpu(model: Model) -> bool:
    """Whether a model says that it does; a script's own may without saying so."""
    return any(device.startswith("cuda") for device in model.devices)


def placed(settings: Settings, part: Load) -> Settings:
    """The settings of a model on the GPU that its load is for."""
    return settings if part.gpu is None else replace(settings, gpu=part.gpu)


def reason(error: BaseException) -> str:
    """Why a load failed, in words."""
    known = isinstance(error, ConfigurationError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def starved(error: BaseException | None) -> bool:
    """Whether a load failed for want of memory, of the GPU or of the machine."""
    while error is not None:
        if isinstance(error, OutOfMemory | InsufficientStorage) or cuda.kind(error) is OutOfMemory:
            return True
        error = error.__cause__
    return False


def watched(model: Model, lost: Callable[[DeviceLost], object]) -> Model:
    """The model, which says so, in whatever thread, when it has lost its device.

    Only those on a GPU, and those of scripts, which may use one, are watched.
    """

    def watch(step: Callable[P, T]) -> Callable[P, T]:
        def watched_step(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return step(*args, **kwargs)
            except DeviceLost as error:
                lost(error)
                raise

        return watched_step

    if not model.foreign and not runs_on_gpu(model):
        return model
    return replace(
        model,
        decode=watch(model.decode),
        predict=watch(model.predict),
        encode=watch(model.encode),
    )
