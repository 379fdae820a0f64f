"""Command line: fill a server with models, and print what they cost."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import command
from benchmarks.density import archives, library, mms, phases, report
from benchmarks.density.phases import Question
from benchmarks.density.report import Peer, Results
from benchmarks.throughput import BenchmarkError, workload


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status is 1 where it failed, or ``--check`` says so."""
    options = _parse(arguments)

    def measure() -> Results:
        with tempfile.TemporaryDirectory(prefix="density-") as directory:
            return _measure(options, Path(directory))

    return command.run(measure, report.tables, report.missed, check=options.check)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.density",
        description="Load many XGBoost models into one server; print memory and times.",
    )
    parser.add_argument("--models", type=int, default=1000, help="archives (%(default)s)")
    parser.add_argument(
        "--fitting", type=int, default=200, help="models that fit, under eviction (%(default)s)"
    )
    parser.add_argument(
        "--requests", type=int, default=5000, help="requests under eviction (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=int, default=4, help="of each load with wrk (%(default)s)"
    )
    parser.add_argument(
        "--peers", type=int, default=50, help="models in AWS's server; 0: none (%(default)s)"
    )
    parser.add_argument("--check", action="store_true", help="fail where a bar is missed")
    return parser.parse_args(arguments)


def _measure(options: argparse.Namespace, directory: Path) -> Results:
    work = workload.make(directory)
    file = work.model / "model.ubj"
    question = Question(work.rows[0], f"{work.predictions[0]!s}\n".encode())
    repository = directory / "repository"
    repository.mkdir()
    names = archives.make(file, repository, options.models)
    needed = library.bytes_each(file, options.models)
    resident = phases.all_resident(repository, names, question, directory)
    print("all models were loaded", file=sys.stderr, flush=True)
    evicting = phases.evicting(
        repository,
        names,
        question,
        directory,
        fitting=options.fitting,
        model_bytes=resident.each,
        requests=options.requests,
    )
    warm = phases.warm(
        work.model,
        repository,
        names[0],
        question,
        directory,
        connections=(1, 16, 64),
        seconds=options.seconds,
        rounds=3,
    )
    peers = []
    if options.peers:
        archives_of_peers = [repository / name for name in names[: options.peers]]
        few = phases.all_resident(repository, names[: options.peers], question, directory)
        theirs = mms.measure(archives_of_peers, question.body)
        if float(theirs.answer) != float(question.answer):
            raise BenchmarkError(f"multi-model-server answered {theirs.answer!r}.")
        peers = [
            Peer("serving", options.peers, few.each, few.cold.p50_ms),
            Peer("multi-model-server", theirs.models, theirs.each, median(theirs.load_ms)),
        ]
    return Results(options.models, needed, resident, evicting, warm, peers)


if __name__ == "__main__":
    sys.exit(main())
