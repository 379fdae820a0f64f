"""How evenly connections are spread over the workers: ``python -m benchmarks.spread``.

Connections are opened all at once, as a load generator does, and one after the other, as a balancer
that fills its pool; then it is counted how many each worker has. What is reported is how far the
worker that is farthest from an equal share is from it.
"""

import argparse
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from benchmarks import command
from benchmarks.throughput import BenchmarkError, targets, workload
from serving.bench.connection import resolve
from serving.bench.engine import Engine
from serving.bench.plan import Stage
from serving.bench.target import Message, requests, target
from serving.processes import memory

CONNECTIONS = (16, 64)
EVEN = 0.2
"""A spread up to this is even."""
LOAD_SECONDS = 0.2
"""How long the connections that are opened at once are asked."""
PATIENCE = 10.0
ESTABLISHED = "01"

Open = Callable[[ExitStack, int, bytes, int], None]
"""Opens connections to a port, which the stack closes: stack, port, body, how many."""


class Result(NamedTuple):
    """All trials of one kind."""

    connections: int
    opened: str
    """In which way."""
    spreads: list[float]
    """Of each trial: the largest distance from an equal share, as a part of that share."""

    @property
    def even(self) -> float:
        """The share of trials in which the spread was even."""
        return mean(spread <= EVEN for spread in self.spreads)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; the exit status is 1 where that failed, or a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spread", description=__doc__)
    parser.add_argument("--trials", type=int, default=50, help="of each kind (%(default)s)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a median is uneven")
    options = parser.parse_args(arguments)
    return command.run(lambda: _measure(options.trials), table, missed, check=options.check)


def table(results: Sequence[Result]) -> str:
    """The results as Markdown."""
    lines = [
        "| connections | opened | spread, median | 90 % | largest | trials within 20 % |",
        "| ---: | --- |" + " ---: |" * 4,
    ]
    for each in results:
        ordered = sorted(each.spreads)
        high = ordered[int(0.9 * (len(ordered) - 1))]
        cells = (
            each.connections,
            each.opened,
            *map(_percent, (median(ordered), high, ordered[-1])),
        )
        lines.append(f"| {' | '.join(map(str, cells))} | {_percent(each.even)} |")
    return "\n".join(lines)


def missed(results: Sequence[Result]) -> list[str]:
    """A sentence for each kind whose median is uneven."""
    return [
        f"{each.connections} connections opened {each.opened}: the median spread is "
        f"{_percent(median(each.spreads))}, and should be at most {_percent(EVEN)}."
        for each in results
        if median(each.spreads) > EVEN
    ]


def spread(counts: Sequence[int]) -> float:
    """How far the worker that is farthest from an equal share is from it, as a part of that."""
    share = mean(counts)
    return max(abs(count - share) for count in counts) / share


def _measure(trials: int) -> list[Result]:
    ways: dict[str, Open] = {"at once": _at_once, "one by one": _one_by_one}
    with tempfile.TemporaryDirectory(prefix="spread-") as name:
        work = workload.make(Path(name))
        with targets.started(targets.serving(work), Path(name)) as server:
            workers = sorted({*memory.tree(server.pid)} - {server.pid})
            return [
                Result(
                    count,
                    way,
                    [
                        _trial(server.port, workers, work.rows[0], count, ways[way])
                        for _ in range(trials)
                    ],
                )
                for count in CONNECTIONS
                for way in ways
            ]


def _trial(port: int, workers: Sequence[int], body: bytes, count: int, way: Open) -> float:
    _until(lambda: sum(connections(port, workers)) == 0, "connections stay open")
    with ExitStack() as stack:
        way(stack, port, body, count)
        _until(
            lambda: sum(connections(port, workers)) == count, f"there are no {count} connections"
        )
        return spread(connections(port, workers))


def _at_once(stack: ExitStack, port: int, body: bytes, count: int) -> None:
    where = target(f"http://127.0.0.1:{port}", "/invocations")
    sent = requests(where, [Message({"content-type": "text/csv"}, body)], [1.0], None, 1)
    engine = Engine(where, resolve(where), sent, timeout=PATIENCE, most_connections=count)
    stack.callback(engine.close)
    engine.run(Stage(LOAD_SECONDS, connections=count))


def _one_by_one(stack: ExitStack, port: int, _body: bytes, count: int) -> None:
    for _ in range(count):
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
        client.sendall(b"GET /ping HTTP/1.1\r\nhost: a\r\n\r\n")
        if not client.recv(65536):
            raise BenchmarkError("The server has closed a connection without an answer.")


def connections(port: int, workers: Sequence[int]) -> list[int]:
    """How many established connections to a port of this machine each process has."""
    sockets = _sockets(port)
    return [sum(name in sockets for name in _descriptors(worker)) for worker in workers]


def _sockets(port: int) -> set[str]:
    """What the server's ends of its connections are called among a process's files."""
    # proc_net_tcp(5): number, local address, remote address, state, ..., the inode as tenth.
    table = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {
        f"socket:[{fields[9]}]"
        for fields in table
        if fields[3] == ESTABLISHED and int(fields[1].rpartition(":")[2], 16) == port
    }


def _descriptors(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed
            yield str(descriptor.readlink())


def _until(settled: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not settled():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"After {PATIENCE:g} seconds, {otherwise}.")
        time.sleep(0.005)


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


if __name__ == "__main__":
    sys.exit(main())
