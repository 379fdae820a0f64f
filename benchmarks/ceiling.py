"""How much load the load generator itself can make: ``python -m benchmarks.ceiling``.

nginx answers a constant; ``serving bench`` and wrk ask it by turns, with the same connections.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import command
from benchmarks.throughput import generator, targets, workload
from serving.bench.connection import resolve
from serving.bench.engine import Engine
from serving.bench.plan import Stage
from serving.bench.target import Message, requests, target

CONNECTIONS = (1, 16, 64)


class Reached(NamedTuple):
    """Medians over the rounds with so many connections."""

    connections: int
    ours: float
    """Requests a second of ``serving bench``."""
    wrk: float
    """Those of wrk."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; the exit status is 1 where that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ceiling", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="a measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    options = parser.parse_args(arguments)
    return command.run(
        lambda: _measure(options.seconds, options.rounds), table, lambda _: [], check=False
    )


def table(results: Sequence[Reached]) -> str:
    """The results as Markdown."""
    lines = ["| connections | serving bench, requests/s | wrk | share |", "| ---: " * 4 + "|"]
    for each in results:
        share = each.ours / each.wrk
        lines.append(f"| {each.connections} | {each.ours:,.0f} | {each.wrk:,.0f} | {share:.2f} |")
    return "\n".join(lines)


def _measure(seconds: int, rounds: int) -> list[Reached]:
    with tempfile.TemporaryDirectory(prefix="ceiling-") as directory:
        work = workload.make(Path(directory))
        with targets.running(targets.nginx(work, Path(directory)), Path(directory)) as port:
            return [_compare(port, work.rows[0], each, seconds, rounds) for each in CONNECTIONS]


def _compare(port: int, body: bytes, connections: int, seconds: int, rounds: int) -> Reached:
    pairs = [
        (
            _ours(port, body, connections, seconds),
            generator.load(port, body, connections, seconds).requests / seconds,
        )
        for _ in range(rounds)
    ]
    ours, theirs = zip(*pairs, strict=True)
    return Reached(connections, median(ours), median(theirs))


def _ours(port: int, body: bytes, connections: int, seconds: int) -> float:
    where = target(f"http://127.0.0.1:{port}", "/invocations")
    sent = requests(where, [Message({"content-type": "text/csv"}, body)], [1.0], None, 1)
    engine = Engine(where, resolve(where), sent, timeout=10.0, most_connections=connections)
    try:
        return engine.run(Stage(seconds, connections=connections)).latencies.total / seconds
    finally:
        engine.close()


if __name__ == "__main__":
    sys.exit(main())
