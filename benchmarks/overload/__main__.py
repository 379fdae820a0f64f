"""Command line: overload each model in turn and print the table."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import command
from benchmarks.overload import report, scenarios
from benchmarks.overload.generator import Client
from benchmarks.overload.report import Result, Round
from benchmarks.overload.scenarios import SCENARIOS, Scenario
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import Target, running

CLOSED_CONNECTIONS = 64
OPEN_CONNECTIONS = 2000
"""Enough for every burst that the server lets wait; a request that finds none free would wait for
one, and the loop would be open no more."""

UNLOADED, OVERLOADED = 0.3, 2.0
"""Offered loads, in times of the capacity."""

LEAD_SECONDS = 2.0
"""Time before what counts, under the same load. In overload the burst is used up meanwhile."""

SEED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status is 1 where it failed, or ``--check`` says so."""
    options = _parse(arguments)
    chosen = [scenario for scenario in SCENARIOS if scenario.name in options.models]
    return command.run(
        lambda: _measure(chosen, options.rounds, options.seconds),
        lambda results: "\n".join([report.table(results), "", *map(_described, chosen)]),
        lambda results: [line for result in results for line in report.missed(result)],
        check=options.check,
    )


def _described(scenario: Scenario) -> str:
    return f"{scenario.name}: {scenario.about}."


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overload",
        description="Offer the server twice its capacity, in an open loop; print a table.",
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument(
        "--seconds", type=_positive, default=5, help="of each measurement (%(default)s)"
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="of all models (%(default)s)")
    parser.add_argument(
        "--models",
        nargs="+",
        choices=names,
        default=names,
        metavar="MODEL",
        help=f"of {', '.join(names)} (all)",
    )
    parser.add_argument("--check", action="store_true", help="fail where a bar is missed")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return int(text)


def _measure(chosen: Sequence[Scenario], rounds: int, seconds: int) -> list[Result]:
    """Take the models in turn in each round: the machine is not the same from minute to minute."""
    results = [Result(scenario.name, []) for scenario in chosen]
    for number in range(1, rounds + 1):
        for scenario, result in zip(chosen, results, strict=True):
            print(f"round {number} of {rounds}: {scenario.name}", file=sys.stderr, flush=True)
            result.rounds.append(_round(scenario, seconds))
    return results


def _round(scenario: Scenario, seconds: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="overload-") as directory:
        model = Path(directory) / "model"
        model.mkdir()
        scenario.make(model)
        with running(_target(scenario, model), Path(directory)) as port:
            return _load(scenario, port, seconds)


def _target(scenario: Scenario, model: Path) -> Target:
    def command(port: int) -> list[str]:
        address = ["--bind", "127.0.0.1", "--port", str(port)]
        serve = [sys.executable, "-m", "serving.cli", "serve", str(model)]
        return [*serve, *address, "--workers", "1"]

    return Target(scenario.name, command)


def _load(scenario: Scenario, port: int, seconds: int) -> Round:
    request, end = scenarios.request(scenario.body), LEAD_SECONDS + seconds
    with Client(port, request, CLOSED_CONNECTIONS) as client:
        busy = report.summarise(client.closed_loop(end), LEAD_SECONDS, end)
    if not busy.answered:
        raise BenchmarkError(f"{scenario.name}: not one prediction came in {seconds} seconds.")
    capacity = busy.answered
    with Client(port, request, OPEN_CONNECTIONS) as client:
        unloaded, overload = (
            report.summarise(client.open_loop(load * capacity, end, SEED), LEAD_SECONDS, end)
            for load in (UNLOADED, OVERLOADED)
        )
    return Round(capacity, unloaded, overload)


if __name__ == "__main__":
    sys.exit(main())
