"""Closed loops: every peer in every round, started alone, under each load."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.peers import sample
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.peer import Peer
from benchmarks.peers.results import Measurement, Start
from benchmarks.peers.sample import Sample
from benchmarks.peers.starting import body, first_answer, verify, workloads_of
from benchmarks.peers.workloads import WORKLOADS, Array
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.generator import Load, load
from benchmarks.throughput.rounds import Plan
from benchmarks.throughput.targets import Started

MOST_ERRORS = 0.01
"""Share of the requests of a load; a peer with more has failed."""
START_SECONDS = 8.0
"""What a start and a stop take, guessed for the time that is left."""


def planned(peers: Sequence[Peer], asked: Sequence[str], plan: Plan) -> float:
    """Seconds that `measure` will take."""
    return plan.rounds * sum(
        _planned(peer, workloads, plan)
        for peer in peers
        for _, workloads in workloads_of(peer, asked)
    )


def measure(
    comparison: Comparison, peers: Sequence[Peer], asked: Sequence[str], plan: Plan
) -> None:
    """Measure peers. Another goes first in each round, so that a drift favours none."""
    order = list(peers)
    failed: set[tuple[str, str]] = set()
    for number in range(1, plan.rounds + 1):
        for peer in order:
            for models, workloads in workloads_of(peer, asked):
                left = [name for name in workloads if (peer.title, name) not in failed]
                if left and comparison.can_start(peer):
                    bad = _visit(comparison, number, peer, models, left, plan)
                    failed |= {(peer.title, name) for name in bad}
                comparison.step(_planned(peer, workloads, plan))
        order.append(order.pop(0))


def _planned(peer: Peer, workloads: Sequence[str], plan: Plan) -> float:
    each = peer.warm_up + len(plan.connections) * (plan.warm_up + plan.seconds)
    return START_SECONDS + len(workloads) * each


def _visit(
    comparison: Comparison,
    number: int,
    peer: Peer,
    models: Sequence[str],
    workloads: Sequence[str],
    plan: Plan,
) -> Sequence[str]:
    """Start a peer and measure it with each workload; those with which it failed."""
    failed = []
    try:
        with comparison.start(peer, models) as server:
            for workload in workloads:
                try:
                    question = comparison.setup.questions[WORKLOADS[workload].model]
                    first_answer(peer, workload, server.port, question)
                    if workload == workloads[0]:
                        seconds = time.perf_counter() - server.began
                        started = Start(number, peer.title, tuple(workloads), seconds)
                        comparison.results.starts.append(started)
                    _measure(comparison, number, peer, workload, server, plan)
                except BenchmarkError as error:
                    failed.append(workload)
                    comparison.failed(peer, [workload], error)
    except BenchmarkError as error:
        comparison.failed(peer, workloads, error)
        return workloads
    return failed


def _measure(
    comparison: Comparison, number: int, peer: Peer, workload: str, server: Started, plan: Plan
) -> None:
    """Check the answers to all rows, then load it. Raises BenchmarkError."""
    question = comparison.setup.questions[WORKLOADS[workload].model]
    for row, expected in zip(question.rows, question.expected, strict=True):
        verify(peer, workload, server.port, row, expected)
    if peer.warm_up:
        most = max(plan.connections)
        _ask(peer, workload, question.rows[0], most, server, peer.warm_up)
    for connections in plan.connections:
        seen, taken = _load(peer, workload, question.rows[0], connections, server, plan)
        measured = Measurement(number, peer.title, workload, connections, seen, *taken)
        comparison.results.measurements.append(measured)
        comparison.say(
            f"round {number}: {peer.title}, {workload}, connections: {connections}, "
            f"requests/s: {measured.rate:,.0f}"
        )


def _load(
    peer: Peer, workload: str, row: Array, connections: int, server: Started, plan: Plan
) -> tuple[Load, Sample]:
    """A load, and what was seen of the server's processes in its midst."""
    _ask(peer, workload, row, connections, server, plan.warm_up)
    with ThreadPoolExecutor(1) as pool:
        sampling = (server.pid, server.port, peer.processes, plan.seconds / 2)
        taken = pool.submit(sample.take, *sampling)
        seen = _ask(peer, workload, row, connections, server, plan.seconds)
    if seen.errors > MOST_ERRORS * seen.requests:
        raise BenchmarkError(
            f"{seen.errors} of {seen.requests} requests of {connections} connections failed."
        )
    return seen, taken.result()


def _ask(
    peer: Peer, workload: str, row: Array, connections: int, server: Started, seconds: int
) -> Load:
    sent = body(peer, workload, row)
    path = peer.requests[workload].path
    return load(server.port, sent.data, connections, seconds, headers=sent.headers, path=path)
