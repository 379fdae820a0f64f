"""The command line of the comparison."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import leave, positive
from benchmarks.peers import (
    bars,
    charts,
    environments,
    library,
    mixed,
    peer,
    report,
    rounds,
    summary,
    workloads,
)
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.starting import Setup
from benchmarks.peers.summary import Summary
from benchmarks.peers.workloads import WORKLOADS
from benchmarks.throughput import BenchmarkError, machine
from benchmarks.throughput.rounds import Plan

CONNECTIONS = (1, 16, 64)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; the exit status is 1 where nothing could be, or ``--check`` says so."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, leave)
    try:
        return _compare(options)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description="Serve the same models with this server and with what a user would pick "
        "instead, load all of them alike, and print tables.",
    )
    add = parser.add_argument
    add("--only", nargs="+", metavar="PEER", help=f"of {', '.join(peer.names())} (all)")
    add("--seconds", type=positive, default=4, help="a measurement (%(default)s)")
    add("--warm-up", type=positive, default=1, help="seconds before each (%(default)s)")
    add("--rounds", type=positive, default=2, help="(%(default)s)")
    add(
        "--connections",
        type=positive,
        nargs="+",
        default=list(CONNECTIONS),
        metavar="N",
        help="numbers of connections (1 16 64)",
    )
    add(
        "--workloads",
        nargs="+",
        choices=list(WORKLOADS),
        default=list(WORKLOADS),
        metavar="WORKLOAD",
        help=f"of {', '.join(WORKLOADS)} (all); the mixed load has all",
    )
    add("--no-mixed", action="store_true", help="leave the mixed load out")
    add("--tune", action="store_true", help="measure each peer's other configurations beside it")
    add("--json", type=Path, metavar="FILE", help="write every measurement here")
    add("--output", type=Path, metavar="DIR", help="write the tables and plots here")
    add("--check", action="store_true", help="fail where a bar is missed")
    options = parser.parse_args(arguments)
    if options.check and (options.tune or options.no_mixed):
        parser.error("--check needs the whole comparison, without --tune and --no-mixed")
    return options


def _compare(options: argparse.Namespace) -> int:
    peers = [peer.read(name) for name in dict.fromkeys(options.only or peer.names())]
    peers.sort(key=lambda each: peer.ROLES.index(each.role))
    if options.tune:
        peers = [each for one in peers for each in (one, *one.tried)]
    asked = options.workloads
    plan = Plan(options.rounds, sorted({*options.connections}), options.seconds, options.warm_up)
    with_mixed = not options.no_mixed and not options.tune and {*asked} == {*WORKLOADS}
    facts = machine.describe(["wrk"])
    bystanders = machine.Bystanders()
    with tempfile.TemporaryDirectory(prefix="peers-") as directory:
        Path(directory).chmod(0o755)  # nginx's workers are nobody where root starts it
        models = Path(directory) / "models"
        models.mkdir()
        setup = Setup(models, Path(directory) / "work", workloads.make(models))
        planned = rounds.planned(peers, asked, plan) + library.planned(plan.seconds)
        planned += mixed.planned(peers, plan) if with_mixed else 0.0
        comparison = Comparison(setup, environments.BUILT / "logs", planned)
        comparison.make_environments(peers)
        if not options.only:
            comparison.results.library = library.rates(models, plan.seconds)
        comparison.step(library.planned(plan.seconds))
        rounds.measure(comparison, peers, asked, plan)
        if with_mixed:
            mixed.measure(comparison, peers, plan)
    facts["CPU taken by other processes"] = f"{bystanders.share():.0%}"

    found = summary.summarise(comparison.results, peers, asked)
    judged = not options.tune and any(each.role == "ours" for each in peers)
    verdicts = bars.judge(found) if judged else []
    text = report.markdown(facts, found, verdicts, plan.connections)
    print(text)
    if options.tune:
        print(report.tuned(found))
    if options.json:
        options.json.write_text(report.as_json(facts, comparison.results, verdicts))
    if options.output:
        _write(options.output, text, found)
    return 1 if options.check and any(bars.fails(each) for each in verdicts) else 0


def _write(folder: Path, text: str, found: Summary) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tables.md").write_text(text)
    for workload, rows in found.rows.items():
        if any(row.cells for row in rows):
            about = WORKLOADS[workload].about
            (folder / f"{workload}-throughput.svg").write_text(charts.throughput(about, rows))
            (folder / f"{workload}-latency.svg").write_text(charts.latency(about, rows))
            (folder / f"{workload}-memory.svg").write_text(charts.memory(about, rows))


if __name__ == "__main__":
    sys.exit(main())
