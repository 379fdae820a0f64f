"""What a comparison has found, as plain data."""

from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.throughput.generator import Load


class Measurement(NamedTuple):
    """One peer under one load in one round."""

    round: int
    peer: str
    """Its title."""
    workload: str
    connections: int
    load: Load
    memory: int
    """Bytes of all its processes in the midst of the load, shared pages counted in parts."""
    imbalance: float
    """How far a process's connections were from an even share, at most, as a part of it."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.load.requests / self.load.seconds


class Start(NamedTuple):
    """One start of a peer."""

    round: int
    peer: str
    workloads: tuple[str, ...]
    """Those it was started for; the first was asked first."""
    seconds: float
    """From the start of its process to the first right answer."""


class Mixed(NamedTuple):
    """One peer under the mixed load in one round."""

    round: int
    peer: str
    offered: float
    """Requests a second."""
    answered: float
    p50_ms: float
    """From when a request was due."""
    p99_ms: float
    errors: int


class Failure(NamedTuple):
    """What a peer could not do, or was not asked to do."""

    peer: str
    what: tuple[str, ...]
    """Workloads, or the mixed load."""
    reason: str
    log: str
    """The path of its log; empty if it has none."""
    tried: bool = True
    """False: it was not run, since it has no way to."""


@dataclass
class Results:
    """All of it."""

    measurements: list[Measurement] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    capacities: dict[str, float] = field(default_factory=dict)
    """Requests a second of the mixed load in a closed loop, by the peer's title."""
    mixed: list[Mixed] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    library: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Predictions a second without a server, by model: of one process, and of one a core."""
