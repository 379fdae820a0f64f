"""Load, unload and ask many models at random for a while, faulty ones among them.

    python -m benchmarks.density.soak [--minutes 10] [--models 500] [--clients 4] [--check]

Every answer is checked: a good model has to answer rightly whatever becomes of others, and a fault
has to be told as what it is. Every now and then the clients rest and all models are unloaded; what
the server takes then has to be at the end what it was after the first minute, up to 5 %. With no
model loaded the figure is small, so that little of a leak is hidden in it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Timer
from typing import NamedTuple

from benchmarks import command
from benchmarks.density import client, zoo
from benchmarks.density.visitor import Tally, Visitor
from benchmarks.density.zoo import Model
from benchmarks.throughput.targets import Started, Target, started
from serving.footprint import proportional_bytes
from serving.processes import memory

ROUND_SECONDS = 20.0
"""Between two looks at the server while it has no model."""

FIRST_SECONDS = 60.0
"""When the memory that may not grow is looked at, or after a quarter of a run that is short."""

BUDGET_MB = 128
"""Memory for models: of those that clients name, not all fit."""

GROWTH = 0.05
"""By which the memory at the end may differ."""

LOOKS = 5
LOOK_SECONDS = 0.05
"""Between two looks at a server that has nothing to do."""

SHOWN = 20
"""Surprises that are printed."""

MIB = 1024 * 1024


class Sample(NamedTuple):
    """A server that has no model loaded."""

    seconds: float
    """Since the start."""
    memory: int
    """Proportional set size of all its processes, in bytes."""
    processes: int
    threads: int
    files: int
    """Open ones, sockets included."""


class Results(NamedTuple):
    """All that was seen."""

    tally: Tally
    first: Sample
    """After the first minute."""
    last: Sample
    evicted: int
    workers: int
    """Of which more than one means that one was lost."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; the exit status is 1 where it failed, or ``--check`` says so."""
    options = _parse(arguments)

    def measure() -> Results:
        with tempfile.TemporaryDirectory(prefix="soak-") as directory:
            return _measure(options, Path(directory))

    return command.run(measure, tables, missed, check=options.check)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.density.soak",
        description="Load, unload and ask models at random; check answers and memory.",
    )
    parser.add_argument("--minutes", type=float, default=10, help="of clients (%(default)s)")
    parser.add_argument("--models", type=int, default=500, help="archives (%(default)s)")
    parser.add_argument("--clients", type=int, default=4, help="at once (%(default)s)")
    parser.add_argument("--check", action="store_true", help="fail where something is not right")
    return parser.parse_args(arguments)


def _measure(options: argparse.Namespace, directory: Path) -> Results:
    repository = directory / "repository"
    repository.mkdir()
    models = zoo.make(repository, options.models)
    print("the models are made", file=sys.stderr, flush=True)
    variables = (
        ("SAGEMAKER_MULTI_MODEL", "true"),
        ("SERVING_CACHE", str(directory / "cache")),
        ("SERVING_MODEL_MEMORY_MB", str(BUDGET_MB)),
        ("SERVING_REPOSITORY", str(repository)),
        ("SERVING_REPOSITORY_SECONDS", "1"),
    )
    with started(Target("soak", _command, variables=variables), directory) as server:
        tally, samples = Tally(), list[Sample]()
        began, seconds = time.monotonic(), options.minutes * 60
        while (elapsed := time.monotonic() - began) < seconds:
            length = min(ROUND_SECONDS, seconds / 4, seconds - elapsed)
            tally.add(_round(server, models, options.clients, length, seed=len(samples)))
            tally.add(_empty(server, models))
            samples.append(_sample(server.pid, time.monotonic() - began))
            print(_progress(samples[-1], tally), file=sys.stderr, flush=True)
        with closing(Visitor(server.port, models, 0, 0)) as visitor:
            visitor.ask_for_newest()
        tally.add(visitor.tally)
        counts = client.counts(server.port)
    after = min(FIRST_SECONDS, seconds / 4)
    first = next(sample for sample in samples if sample.seconds >= after)
    evicted = int(counts.get('serving_models_total{event="evicted"}', 0))
    workers = (directory / "soak.log").read_text().count("Booting worker")
    return Results(tally, first, samples[-1], evicted, workers)


def _command(port: int) -> list[str]:
    address = ["--bind", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "serving.cli", "serve", *address]


def _round(
    server: Started, models: Sequence[Model], clients: int, seconds: float, seed: int
) -> Tally:
    """Let clients do as they like for a while."""
    tally, over = Tally(), Event()
    visitors = [
        Visitor(server.port, models, number, seed * clients + number) for number in range(clients)
    ]
    timer = Timer(seconds, over.set)
    with ThreadPoolExecutor(clients) as pool:
        timer.start()
        try:
            for result in pool.map(lambda visitor: visitor.run(over), visitors):
                tally.add(result)
        finally:
            over.set()
            timer.cancel()
    return tally


def _empty(server: Started, models: Sequence[Model]) -> Tally:
    """Unload all models."""
    with closing(Visitor(server.port, models, 0, 0)) as visitor:
        visitor.unload_all()
    return visitor.tally


def _sample(pid: int, seconds: float) -> Sample:
    """The least of a few looks: what is there for a moment, as a file that is read, is no leak."""
    looks = []
    for _ in range(LOOKS):
        looks.append(_look(pid, seconds))
        time.sleep(LOOK_SECONDS)
    return Sample(seconds, *map(min, zip(*(look[1:] for look in looks), strict=True)))


def _look(pid: int, seconds: float) -> Sample:
    tree = set(memory.tree(pid))
    taken = threads = files = 0
    for each in tree:
        with suppress(OSError):  # it has ended since
            taken += proportional_bytes(each)
            threads += len(list(Path(f"/proc/{each}/task").iterdir()))
            files += len(list(Path(f"/proc/{each}/fd").iterdir()))
    return Sample(seconds, taken, len(tree), threads, files)


def _progress(sample: Sample, tally: Tally) -> str:
    return (
        f"{sample.seconds:.0f} s: {sample.memory / MIB:.1f} MiB, {sample.processes} processes, "
        f"{sample.threads} threads, {sample.files} files; {sum(tally.done.values()):,} requests, "
        f"{len(tally.surprises)} surprises"
    )


def tables(results: Results) -> str:
    """The results as Markdown."""
    first, last = results.first, results.last
    rows = [
        ("memory, MiB", f"{first.memory / MIB:.1f}", f"{last.memory / MIB:.1f}"),
        ("processes", str(first.processes), str(last.processes)),
        ("threads", str(first.threads), str(last.threads)),
        ("open files", str(first.files), str(last.files)),
    ]
    lines = [
        "The server with no model loaded:",
        "",
        f"| | after {first.seconds:.0f} s | after {last.seconds:.0f} s |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {before} | {after} |" for name, before, after in rows),
        "",
        f"{sum(results.tally.done.values()):,} requests; {results.evicted:,} models were evicted:",
        "",
        "| what, and its status | requests |",
        "| --- | ---: |",
        *(f"| {what} | {count:,} |" for what, count in sorted(results.tally.done.items())),
    ]
    return "\n".join(lines)


def missed(results: Results) -> list[str]:
    """A sentence about each thing that is not as it should be."""
    first, last, surprises = results.first, results.last, results.tally.surprises
    sentences = []
    if surprises:
        sentences.append(f"{len(surprises)} answers were not as they should be:")
        sentences += surprises[:SHOWN]
    growth = last.memory / first.memory - 1
    if abs(growth) > GROWTH:
        sentences.append(f"The memory has changed by {growth:.1%}, not {GROWTH:.0%} at most.")
    if last.processes > first.processes or last.files > first.files:
        sentences.append("There are more processes, or more files are open.")
    if results.workers != 1:
        sentences.append(f"{results.workers - 1} workers were lost.")
    return sentences


if __name__ == "__main__":
    sys.exit(main())
