"""From a model directory to a model that has answered, in a thread."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, ParamSpec, TypeVar

from serving import engines, footprint, warmup
from serving.batching import Cost
from serving.errors import ConfigurationError, DeviceLost
from serving.model import Model
from serving.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

_one_at_a_time = threading.Lock()


class Loaded(NamedTuple):
    """A model that is loaded, and what it costs."""

    model: Model
    cost: Cost
    bytes: int
    """Of memory."""


def load(folder: Path, settings: Settings) -> Loaded:
    """Load a model and let it answer its sample.

    One load runs at a time: what it takes in memory could not be told from what others take.

    Raises:
        ConfigurationError: it cannot be loaded, or cannot answer; or whatever a script raises.
    """
    with _one_at_a_time:
        engines.prepare(folder, settings)  # the library is not the model's
        before = footprint.in_use()
        model = engines.load(folder, settings)
        cost = warmup.measure(model)
        return Loaded(model, cost, max(0, footprint.in_use() - before))


def reason(error: BaseException) -> str:
    """Why a load failed, in words."""
    known = isinstance(error, ConfigurationError)
    return str(error) if known else f"{type(error).__name__}: {error}"


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

    if not model.foreign and model.devices == ("cpu",):
        return model
    return replace(
        model,
        decode=watch(model.decode),
        predict=watch(model.predict),
        encode=watch(model.encode),
    )
