"""What this server has to reach beside the peers, as data, and how that is judged."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.peers.summary import MixedRow, Row, Summary

PEERS, TWO_PROCESSES, NOT_FLASK, NGINX, JSON, EVEN = (
    "the best peer",
    "the best peer that serves from two processes",
    "the best peer but the bare Flask one",
    "nginx's constant",
    "its own JSON",
    "an even share of the connections",
)
BARE_FLASK = "flask_gthread"


class Bar(NamedTuple):
    """A figure of ours compared with another: ``factor * other + plus`` is the limit."""

    figure: str
    """``requests/s``, at least; ``p50``, ``p99``, ``memory``, ``start``, ``imbalance``, at most."""
    workload: str
    connections: int
    """0: of the figure that has none."""
    factor: float
    other: str = PEERS
    plus: float = 0.0
    """In the figure's unit."""
    aim: bool = False
    """It is said when it is missed, but ``--check`` does not fail."""


BARS = (
    Bar("requests/s", "xgboost", 16, 8.0),
    Bar("requests/s", "xgboost", 64, 4.0),
    Bar("p50", "xgboost", 1, 0.25),
    *(
        Bar("requests/s", workload, connections, 2.0)
        for workload in ("mlp-json", "mlp-binary")
        for connections in (16, 64)
    ),
    *(Bar("requests/s", "mlp-binary", connections, 1.0, JSON) for connections in (16, 64)),
    *(Bar("start", workload, 0, 1.0, NOT_FLASK) for workload in ("xgboost", "mlp-json")),
    *(
        Bar("memory", workload, 64, 1.0, TWO_PROCESSES)
        for workload in ("xgboost", "mlp-json", "mlp-binary")
    ),
    Bar("p99", "mixed", 0, 1.0),
    Bar("imbalance", "xgboost", 64, 0.2, EVEN),
    *(Bar("requests/s", "xgboost", connections, 0.4, NGINX, aim=True) for connections in (16, 64)),
    Bar("p50", "xgboost", 1, 1.0, NGINX, plus=0.1, aim=True),
)
UNITS = {
    "requests/s": "/s",
    "p50": " ms",
    "p99": " ms",
    "memory": " MiB",
    "start": " s",
    "imbalance": "",
}


class Verdict(NamedTuple):
    """Whether a bar was reached."""

    bar: Bar
    reached: bool | None
    """None: nothing to compare with was measured."""
    sentence: str


def fails(verdict: Verdict) -> bool:
    """Whether ``--check`` fails by it."""
    return verdict.reached is False and not verdict.bar.aim


def judge(summary: Summary) -> list[Verdict]:
    """Judge every bar. Without figures of ours a bar is missed."""
    return [_judge(bar, summary) for bar in BARS]


def _judge(bar: Bar, summary: Summary) -> Verdict:
    at = f" at {bar.connections}" if bar.connections else ""
    about = f"{bar.workload}, {bar.figure}{at}"
    ours = _figures(bar, summary, "ours")
    others = _others(bar, summary)
    if not ours:
        return Verdict(bar, False, f"MISSED: {about}: there is no figure of ours")
    if not others:
        return Verdict(bar, None, f"not judged: {about}: there is no figure of {bar.other}")
    more = bar.figure == "requests/s"
    own, configuration = ours[0]
    other, name = max(others) if more else min(others)
    limit = bar.factor * other + bar.plus
    reached = own >= limit if more else own <= limit
    word = "reached" if reached else "AIM MISSED" if bar.aim else "MISSED"
    wanted = f"at {'least' if more else 'most'} {bar.factor:g} times"
    unit = UNITS[bar.figure]
    plus = f" and {bar.plus:g}{unit}" if bar.plus else ""
    return Verdict(
        bar,
        reached,
        f"{word}: {about}: {own:,.4g}{unit} ({configuration}) is {own / other:.2f} times "
        f"{other:,.4g}{unit} of {bar.other} ({name}); wanted {wanted}{plus}",
    )


def _others(bar: Bar, summary: Summary) -> list[tuple[float, str]]:
    if bar.other == JSON:
        return _figures(bar._replace(workload="mlp-json"), summary, "ours")
    if bar.other == EVEN:
        return [(1.0, "all alike")]
    if bar.other == NGINX:
        return _figures(bar, summary, "limit")
    return _figures(bar, summary, "peer")


def _figures(bar: Bar, summary: Summary, role: str) -> list[tuple[float, str]]:
    """The figures of those of a role that a bar compares with, with their names.

    Of ours, the strongest configuration comes first: all its figures of a workload are judged.
    """
    rows: list[Row] | list[MixedRow]
    rows = summary.mixed if bar.workload == "mixed" else summary.rows.get(bar.workload, [])
    if role == "ours":
        rows = sorted(rows, key=_strength, reverse=True)
    return [
        (figure, row.peer.title)
        for row in rows
        if row.peer.role == role
        and not (bar.other == TWO_PROCESSES and role == "peer" and row.peer.processes < 2)
        and not (bar.other == NOT_FLASK and row.peer.name == BARE_FLASK)
        for figure in _figure(bar, row)
    ]


def _strength(row: Row | MixedRow) -> float:
    """What a configuration takes in all: the product of its requests/s."""
    if isinstance(row, MixedRow):
        return row.capacity
    return math.prod(cell.rate for cell in row.cells.values()) if row.cells else 0.0


def _figure(bar: Bar, row: Row | MixedRow) -> Iterator[float]:
    """The figure of a row, if it has it and did not fail."""
    if row.failure is not None:
        return
    if isinstance(row, MixedRow):
        # With more than a hundredth unanswered, its 99th percentile is of no answer.
        if row.offered and row.answered >= 0.99 * row.offered:
            yield row.p99_ms
    elif bar.figure == "start":
        if row.start_seconds is not None:
            yield row.start_seconds
    elif (cell := row.cells.get(bar.connections)) is not None:
        yield {
            "requests/s": cell.rate,
            "p50": cell.p50_ms,
            "memory": cell.memory_mib,
            "imbalance": cell.imbalance,
        }[bar.figure]
