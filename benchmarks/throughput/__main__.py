"""The command line: what to measure, and what to print of it."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import command
from benchmarks.command import positive
from benchmarks.throughput import BenchmarkError, machine, report, targets, workload
from benchmarks.throughput.report import BARS, Measurement
from benchmarks.throughput.rounds import Plan, measure

TARGETS = ("serving", "baseline", "nginx")
CONNECTIONS = (1, 16, 64)
BASELINE_THREADS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status is 1 where something failed or ``--check`` says so."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, command.leave)
    programs = ["wrk", *(["nginx"] if "nginx" in options.targets else [])]
    try:
        facts = machine.describe(programs)
        bystanders = machine.Bystanders()
        with tempfile.TemporaryDirectory(prefix="throughput-") as directory:
            measurements = _measure(options, Path(directory))
        facts["CPU taken by other processes"] = f"{bystanders.share():.0%}"
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return _report(options, facts, measurements)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description="Load the server, a Flask baseline and nginx in turn; print a table.",
    )
    parser.add_argument("--seconds", type=positive, default=10, help="a measurement (%(default)s)")
    parser.add_argument("--warm-up", type=positive, default=2, help="seconds (%(default)s)")
    parser.add_argument("--rounds", type=positive, default=3, help="(%(default)s)")
    parser.add_argument(
        "--connections",
        type=positive,
        nargs="+",
        default=list(CONNECTIONS),
        metavar="N",
        help="numbers of connections (1 16 64)",
    )
    parser.add_argument(
        "--targets",
        nargs="+",
        choices=TARGETS,
        default=list(TARGETS),
        metavar="TARGET",
        help=f"of {', '.join(TARGETS)} (all)",
    )
    parser.add_argument(
        "--baseline-threads",
        type=positive,
        default=BASELINE_THREADS,
        metavar="N",
        help="threads of each of the baseline's workers (%(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement here")
    parser.add_argument("--check", action="store_true", help="fail where a bar is missed")
    options = parser.parse_args(arguments)
    if options.check:
        needed = sorted({bar.connections for bar in BARS})
        if not (
            {"serving", "baseline"} <= {*options.targets} and {*needed} <= {*options.connections}
        ):
            parser.error(f"--check needs serving and baseline at {needed} connections")
    return options


def _measure(options: argparse.Namespace, directory: Path) -> list[Measurement]:
    work = workload.make(directory)
    make = {
        "serving": lambda: targets.serving(work),
        "baseline": lambda: targets.baseline(work, options.baseline_threads),
        "nginx": lambda: targets.nginx(work, directory),
    }
    order = [make[name]() for name in dict.fromkeys(options.targets)]
    plan = Plan(options.rounds, options.connections, options.seconds, options.warm_up)
    measurements = []
    for one in measure(order, work, directory, plan):
        print(
            f"round {one.round} of {plan.rounds}: {one.target}, connections: {one.connections}, "
            f"requests/s: {one.rate:,.0f}",
            file=sys.stderr,
            flush=True,
        )
        measurements.append(one)
    return measurements


def _report(
    options: argparse.Namespace, facts: dict[str, str], measurements: list[Measurement]
) -> int:
    cells = report.summarise(measurements)
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    print(f"\n{report.table(cells)}\n")
    verdicts = [verdict for bar in BARS if (verdict := report.judge(bar, cells))]
    for _, line in verdicts:
        print(line)
    if options.json:
        options.json.write_text(report.as_json(facts, measurements))
    failed = sum(cell.errors for cell in cells.values())
    if failed:
        print(f"{failed} requests failed.", file=sys.stderr)
    missed = options.check and not all(reached for reached, _ in verdicts)
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
