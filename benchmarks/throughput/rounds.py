"""The order of things: every target in every round, alone, under each load."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.generator import load
from benchmarks.throughput.report import Measurement
from benchmarks.throughput.targets import Target, running
from benchmarks.throughput.verify import verify
from benchmarks.throughput.workload import Workload


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    connections: Sequence[int]
    seconds: int
    """Length of a measurement."""
    warm_up: int
    """Seconds of the same load before each measurement, with every answer compared."""


def measure(
    targets: Sequence[Target], workload: Workload, directory: Path, plan: Plan
) -> Iterator[Measurement]:
    """Start each target in turn, verify its answers and load it; again for every round.

    Raises:
        BenchmarkError: a target did not start, or answered wrongly before or during a warm-up.
    """
    order = list(targets)
    for number in range(1, plan.rounds + 1):
        for target in order:
            with running(target, directory) as port:
                answer = verify(target, port, workload)
                for connections in dict.fromkeys(plan.connections):
                    warm = load(port, workload.rows[0], connections, plan.warm_up, answer)
                    if warm.errors:
                        raise BenchmarkError(
                            f"{target.name}, connections: {connections}: {warm.errors} of "
                            f"{warm.requests} answers were wrong or failed."
                        )
                    result = load(port, workload.rows[0], connections, plan.seconds)
                    yield Measurement(number, target.name, connections, result)
        # Another target goes first in the next round, so that a drift of the machine favours none.
        order.append(order.pop(0))
