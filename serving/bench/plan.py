"""What load is offered when: stages of a rate, or of a number of connections."""

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from serving.errors import ConfigurationError


class Stage(NamedTuple):
    """A time of one load, or of one that grows or falls evenly."""

    seconds: float
    rate: float = 0.0
    """Requests a second at its start; 0: the loop is closed."""
    end_rate: float = 0.0
    """Requests a second at its end."""
    connections: int = 0
    """In a closed loop: how many clients ask, each when it has its last answer."""
    counts: bool = True
    """Whether it is reported; a warm-up is not."""

    @property
    def open(self) -> bool:
        """Whether requests come at times of their own, whether or not the server keeps up."""
        return self.rate > 0 or self.end_rate > 0

    @property
    def about(self) -> str:
        """It in words."""
        if not self.open:
            plural = "" if self.connections == 1 else "s"
            return f"{self.connections} connection{plural} for {self.seconds:g} s"
        rates = f"{self.rate:g}"
        if self.end_rate != self.rate:
            rates += f" to {self.end_rate:g}"
        return f"{rates} requests/s for {self.seconds:g} s"


def open_stage(seconds: float, rate: float, end_rate: float | None = None) -> Stage:
    """A stage of so many requests a second."""
    return Stage(seconds, rate, rate if end_rate is None else end_rate)


def parse(text: str) -> Stage:
    """A stage as the command line has it: ``500/s x 10s``, ``0..500/s x 30s`` or ``16 x 10s``.

    The first two are open loops of a rate, and of one that grows; the last is a closed loop of so
    many connections.

    Raises:
        ConfigurationError: it is none of these.
    """
    load, _, length = text.replace(" ", "").partition("x")
    try:
        seconds = float(length.removesuffix("s"))
        if load.endswith("/s"):
            first, _, last = load.removesuffix("/s").partition("..")
            stage = open_stage(seconds, float(first), float(last or first))
            rates = (stage.rate, stage.end_rate)
            good = stage.open and all(0 <= rate < math.inf for rate in rates)
        else:
            stage = Stage(seconds, connections=int(load))
            good = stage.connections > 0
    except ValueError:
        good, seconds = False, 0.0
    if not good or not 0 < seconds < math.inf:
        raise ConfigurationError(
            f"{text!r} is no stage; 500/s x 10s, 0..500/s x 30s and 16 x 10s (connections) are."
        )
    return stage


def arrivals(stage: Stage, seed: int, *, poisson: bool = True) -> Iterator[float]:
    """When the requests of an open stage are due, in seconds from its start.

    Args:
        stage: The stage; between two rates its rate changes evenly.
        seed: Of the times of a Poisson process.
        poisson: Whether they come by chance, as from many clients; else at even distances.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret with it
    first, slope = stage.rate, (stage.end_rate - stage.rate) / stage.seconds
    count = 0.0
    while True:
        count += chance.expovariate(1) if poisson else 1.0
        due = _when(count, first, slope)
        if due >= stage.seconds:
            return
        yield due


def _when(count: float, first: float, slope: float) -> float:
    """The time at which ``first * t + slope * t**2 / 2`` requests have come; inf: never."""
    if abs(slope) < 1e-9:
        return count / first
    root = first * first + 2 * slope * count
    return (math.sqrt(root) - first) / slope if root >= 0 else math.inf
