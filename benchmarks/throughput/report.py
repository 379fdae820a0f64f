"""From measurements to the table: medians over the rounds, ratios, and the bars to reach."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple

from benchmarks.throughput.generator import Load

HEADER = (
    "connections",
    "target",
    "requests/s (lowest to highest round)",
    "× baseline",
    "share of nginx",
    "p50, ms",
    "× baseline",
    "p99, ms",
    "errors",
)


class Measurement(NamedTuple):
    """One target under one load in one round."""

    round: int
    target: str
    connections: int
    load: Load

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.load.requests / self.load.seconds


class Cell(NamedTuple):
    """One target under one load: medians over the rounds, errors of all rounds together."""

    rate: float
    slowest: float
    fastest: float
    p50_ms: float
    p99_ms: float
    errors: int


Cells = dict[tuple[int, str], Cell]
"""By number of connections and target."""


class Bar(NamedTuple):
    """A ratio to the baseline that the server has to reach."""

    connections: int
    figure: str
    """``requests/s``: at least ``limit`` times the baseline's; ``p50``: at most."""
    limit: float


BARS = (Bar(64, "requests/s", 10.0), Bar(16, "requests/s", 10.0), Bar(1, "p50", 0.35))


def summarise(measurements: Iterable[Measurement]) -> Cells:
    """Take the medians of each target under each load, in the order they were measured in."""
    groups: dict[tuple[int, str], list[Measurement]] = {}
    for measurement in measurements:
        groups.setdefault((measurement.connections, measurement.target), []).append(measurement)
    return {key: _cell(group) for key, group in groups.items()}


def _cell(group: Sequence[Measurement]) -> Cell:
    rates = [one.rate for one in group]
    return Cell(
        rate=median(rates),
        slowest=min(rates),
        fastest=max(rates),
        p50_ms=median(one.load.p50_ms for one in group),
        p99_ms=median(one.load.p99_ms for one in group),
        errors=sum(one.load.errors for one in group),
    )


def table(cells: Cells) -> str:
    """Write the cells as a Markdown table, by connections and then in the order of ``cells``."""
    rows = [HEADER, tuple("---" if name == "target" else "---:" for name in HEADER)]
    for connections, target in sorted(cells, key=lambda key: key[0]):
        cell = cells[connections, target]
        baseline = cells.get((connections, "baseline"))
        nginx = cells.get((connections, "nginx"))
        rows.append(
            (
                str(connections),
                target,
                f"{cell.rate:,.0f} ({cell.slowest:,.0f} to {cell.fastest:,.0f})",
                f"{cell.rate / baseline.rate:.2f}" if baseline else "–",
                f"{cell.rate / nginx.rate:.2f}" if nginx else "–",
                f"{cell.p50_ms:.3f}",
                f"{cell.p50_ms / baseline.p50_ms:.2f}" if baseline else "–",
                f"{cell.p99_ms:.3f}",
                str(cell.errors),
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_json(facts: Mapping[str, str], measurements: Iterable[Measurement]) -> str:
    """Write every measurement, with the facts about the machine and the date, as JSON."""
    rows = [
        {
            "round": one.round,
            "target": one.target,
            "connections": one.connections,
            "requests_per_second": one.rate,
            **one.load._asdict(),
        }
        for one in measurements
    ]
    date = datetime.now(UTC).isoformat(timespec="seconds")
    document = {"date": date, "machine": facts, "measurements": rows}
    return json.dumps(document, indent=2) + "\n"


def judge(bar: Bar, cells: Cells) -> tuple[bool, str] | None:
    """Whether the server reached a bar, and a line that says so; None where it was not measured."""
    server = cells.get((bar.connections, "serving"))
    baseline = cells.get((bar.connections, "baseline"))
    if server is None or baseline is None:
        return None
    if bar.figure == "p50":
        ratio, wanted = server.p50_ms / baseline.p50_ms, f"at most {bar.limit:g}"
        reached = ratio <= bar.limit
    else:
        ratio, wanted = server.rate / baseline.rate, f"at least {bar.limit:g}"
        reached = ratio >= bar.limit
    noun = "connection" if bar.connections == 1 else "connections"
    return reached, (
        f"{'reached' if reached else 'MISSED'}: {bar.connections} {noun}, {bar.figure} "
        f"{ratio:.2f} times the baseline's; wanted {wanted} times"
    )
