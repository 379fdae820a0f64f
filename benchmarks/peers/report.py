"""The results as Markdown, and as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import geometric_mean
from typing import Any

from benchmarks.peers.bars import Verdict
from benchmarks.peers.results import Failure, Results
from benchmarks.peers.summary import MixedRow, Row, Summary
from benchmarks.peers.workloads import WORKLOADS

NOTHING = "–"


def markdown(
    facts: Mapping[str, str],
    summary: Summary,
    verdicts: Sequence[Verdict],
    connections: Sequence[int],
) -> str:
    """All tables, what failed, and the bars."""
    parts = [", ".join(f"{name}: {value}" for name, value in facts.items())]
    for workload, rows in summary.rows.items():
        parts += [f"### {WORKLOADS[workload].about}", table(rows, connections)]
    if any(row.capacity or row.failure for row in summary.mixed):
        parts += ["### Mixed load, open loop", mixed_table(summary.mixed)]
    if summary.library:
        parts += ["### The library in a loop, without a server", _library(summary.library)]
    failed = [row.failure for rows in summary.rows.values() for row in rows]
    failed += [row.failure for row in summary.mixed]
    if failures := list(dict.fromkeys(each for each in failed if each is not None)):
        parts += ["### Failed", *map(_failure, failures)]
    if verdicts:
        parts += ["### Bars", "\n".join(f"- {each.sentence}" for each in verdicts)]
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[Row], connections: Sequence[int]) -> str:
    """One workload: a row for each peer, the figures by number of connections."""
    names = ("requests/s", "p50, ms", "p99, ms")
    head = ["peer", *(f"{name}: {each}" for name in names for each in connections)]
    head += [f"MiB: {max(connections)}", "start, s", "errors"]
    return _table([head, *(_cells(row, connections) for row in rows)])


def mixed_table(rows: Sequence[MixedRow]) -> str:
    """The mixed load: a row for each peer."""
    head = ["peer", "capacity, /s", "offered, /s", "answered, /s", "p50, ms", "p99, ms", "errors"]
    lines = [head]
    for row in rows:
        capacity = f"{row.capacity:,.0f}" if row.capacity else NOTHING
        if row.failure is not None:
            word = "**failed**" if row.failure.tried else "not run"
            lines.append([row.peer.title, capacity, word, *[NOTHING] * 4])
        elif row.offered:
            rates = [f"{row.offered:,.0f}", f"{row.answered:,.0f}"]
            times = [f"{row.p50_ms:,.1f}", f"{row.p99_ms:,.1f}"]
            lines.append([row.peer.title, capacity, *rates, *times, f"{row.errors:,}"])
    return _table(lines)


def tuned(summary: Summary) -> str:
    """The best configuration of each peer by workload: the highest mean of requests/s."""
    lines = []
    for workload, rows in summary.rows.items():
        for name in dict.fromkeys(row.peer.name for row in rows):
            means = {
                row.peer.title: geometric_mean(cell.rate for cell in row.cells.values())
                for row in rows
                if row.peer.name == name and row.cells and row.failure is None
            }
            if len(means) > 1:
                told = sorted(means.items(), key=lambda pair: -pair[1])
                figures = "; ".join(f"{title} {mean:,.0f}" for title, mean in told)
                lines.append(f"- {workload}, geometric means of requests/s, best first: {figures}")
    return "\n".join(lines)


def as_json(facts: Mapping[str, str], results: Results, verdicts: Sequence[Verdict]) -> str:
    """Every measurement of every round, with the machine and the date."""
    document: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": facts,
        **{key: _plain(value) for key, value in vars(results).items()},
        "bars": [
            {**each.bar._asdict(), "reached": each.reached, "sentence": each.sentence}
            for each in verdicts
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _plain(value: Any) -> Any:
    """Named tuples as objects, within lists."""
    if hasattr(value, "_asdict"):
        return {key: _plain(each) for key, each in value._asdict().items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _cells(row: Row, connections: Sequence[int]) -> list[str]:
    if row.failure is not None:
        return [row.peer.title, "**failed**", *[NOTHING] * (3 * len(connections) + 2)]
    cells = [row.cells.get(each) for each in connections]
    found = [row.peer.title]
    found += [f"{cell.rate:,.0f}" if cell else NOTHING for cell in cells]
    found += [f"{cell.p50_ms:.2f}" if cell else NOTHING for cell in cells]
    found += [f"{cell.p99_ms:.2f}" if cell else NOTHING for cell in cells]
    last = row.cells.get(max(connections))
    start = row.start_seconds
    found += [f"{last.memory_mib:,.0f}" if last else NOTHING]
    found += [f"{start:.2f}" if start is not None else NOTHING]
    return [*found, f"{sum(cell.errors for cell in cells if cell):,}"]


def _library(rates: Mapping[str, tuple[float, float]]) -> str:
    head = ["model", "predictions/s, one process", "one process a core"]
    return _table(
        [head, *([name, *(f"{rate:,.0f}" for rate in pair)] for name, pair in rates.items())]
    )


def _failure(failure: Failure) -> str:
    what = ", ".join(failure.what)
    if not failure.tried:
        return f"{failure.peer}, {what}: not run, {failure.reason}."
    log = f" Its log is {failure.log}." if failure.log else ""
    return f"{failure.peer}, {what}:{log}\n\n{_indented(failure.reason)}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(rows))


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if number == 0:
            yield f"| --- |{' ---: |' * (len(row) - 1)}"
