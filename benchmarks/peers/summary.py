"""Results put together: the medians over the rounds, by peer and workload."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.peers.mixed import MIXED
from benchmarks.peers.peer import Peer
from benchmarks.peers.results import Failure, Results

MIB = 1024 * 1024


@dataclass(frozen=True)
class Cell:
    """A peer with a workload under one number of connections; medians over the rounds."""

    rate: float
    p50_ms: float
    p99_ms: float
    memory_mib: float
    imbalance: float
    errors: int
    """Of all rounds."""


@dataclass(frozen=True)
class Row:
    """A peer with one workload."""

    peer: Peer
    cells: dict[int, Cell] = field(default_factory=dict)
    """By number of connections."""
    start_seconds: float | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class MixedRow:
    """A peer under the mixed load; medians over the rounds."""

    peer: Peer
    capacity: float = 0.0
    offered: float = 0.0
    answered: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    errors: int = 0
    failure: Failure | None = None


@dataclass(frozen=True)
class Summary:
    """All that the tables, the plots and the bars need."""

    rows: dict[str, list[Row]]
    """By workload, in the order of the peers."""
    mixed: list[MixedRow]
    library: dict[str, tuple[float, float]]


def summarise(results: Results, peers: Sequence[Peer], workloads: Sequence[str]) -> Summary:
    """Put the results of these peers together."""
    rows = {
        workload: [_row(results, peer, workload) for peer in peers if workload in peer.requests]
        for workload in workloads
    }
    mixed = [_mixed(results, peer) for peer in peers if peer.role != "limit"]
    return Summary(rows, mixed, results.library)


def _row(results: Results, peer: Peer, workload: str) -> Row:
    measured = [
        each
        for each in results.measurements
        if (each.peer, each.workload) == (peer.title, workload)
    ]
    cells = {}
    for connections in dict.fromkeys(each.connections for each in measured):
        group = [each for each in measured if each.connections == connections]
        cells[connections] = Cell(
            rate=median(each.rate for each in group),
            p50_ms=median(each.load.p50_ms for each in group),
            p99_ms=median(each.load.p99_ms for each in group),
            memory_mib=median(each.memory for each in group) / MIB,
            imbalance=median(each.imbalance for each in group),
            errors=sum(each.load.errors for each in group),
        )
    starts = [
        each.seconds
        for each in results.starts
        if each.peer == peer.title and workload in each.workloads
    ]
    start = median(starts) if starts else None
    return Row(peer, cells, start, _failure(results, peer, workload))


def _mixed(results: Results, peer: Peer) -> MixedRow:
    capacity = results.capacities.get(peer.title, 0.0)
    failure = _failure(results, peer, MIXED)
    group = [each for each in results.mixed if each.peer == peer.title]
    if not group:
        return MixedRow(peer, capacity, failure=failure)
    return MixedRow(
        peer,
        capacity,
        offered=median(each.offered for each in group),
        answered=median(each.answered for each in group),
        p50_ms=median(each.p50_ms for each in group),
        p99_ms=median(each.p99_ms for each in group),
        errors=sum(each.errors for each in group),
        failure=failure,
    )


def _failure(results: Results, peer: Peer, what: str) -> Failure | None:
    for each in results.failures:
        if each.peer == peer.title and what in each.what:
            return each
    return None
