"""From answers to the table, and the bars to reach."""

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.overload.generator import Answer

GOODPUT = 0.9
"""Least share of the capacity that is answered at twice the capacity."""

SLOWER = 3.0
"""Most times that the p99 of the accepted may be of the unloaded p99."""

REFUSAL_MS = 50.0
"""Longest p99 of a refusal, in milliseconds."""

HEADER = (
    "model",
    "capacity, /s",
    "unloaded p99, ms",
    "offered, /s",
    "answered, /s",
    "of capacity",
    "p50, ms",
    "p99, ms",
    "× unloaded",
    "refused",
    "refusal p99, ms",
    "errors",
)


class Phase(NamedTuple):
    """What was seen under one load. Times are in milliseconds; 0 where nothing was seen."""

    offered: float
    """Requests a second."""
    answered: float
    """Of these, with a prediction."""
    p50_ms: float
    p99_ms: float
    refused: int
    refused_p99_ms: float
    errors: int
    """Requests with neither a prediction nor a refusal."""


class Result(NamedTuple):
    """One model."""

    name: str
    capacity: float
    """Answers a second with as many requests under way as there are connections."""
    unloaded: Phase
    overload: Phase


def summarise(answers: Sequence[Answer], begin: float, end: float) -> Phase:
    """What became of the requests due within two times. What has no answer counts in any case."""
    seen = [answer for answer in answers if begin <= answer.due < end or not answer.status]
    good = [answer.seconds for answer in seen if answer.status == 200]
    refused = [answer.seconds for answer in seen if answer.status == 503]
    return Phase(
        offered=len(seen) / (end - begin),
        answered=len(good) / (end - begin),
        p50_ms=percentile(good, 0.5) * 1e3,
        p99_ms=percentile(good, 0.99) * 1e3,
        refused=len(refused),
        refused_p99_ms=percentile(refused, 0.99) * 1e3,
        errors=len(seen) - len(good) - len(refused),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that this share of the values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0.0


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    rows = [HEADER, tuple("---" if name == "model" else "---:" for name in HEADER)]
    for name, capacity, unloaded, overload in results:
        rows.append(
            (
                name,
                f"{capacity:,.0f}",
                f"{unloaded.p99_ms:.1f}",
                f"{overload.offered:,.0f}",
                f"{overload.answered:,.0f}",
                f"{overload.answered / capacity:.2f}",
                f"{overload.p50_ms:.1f}",
                f"{overload.p99_ms:.1f}",
                f"{overload.p99_ms / unloaded.p99_ms:.2f}",
                f"{overload.refused:,}",
                f"{overload.refused_p99_ms:.1f}",
                str(unloaded.errors + overload.errors),
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def missed(result: Result) -> list[str]:
    """The bars that the server missed, a sentence each."""
    unloaded, overload = result.unloaded, result.overload
    share, slower = overload.answered / result.capacity, overload.p99_ms / unloaded.p99_ms
    errors = unloaded.errors + overload.errors
    bars = [
        (share >= GOODPUT, f"{share:.0%} of the capacity is answered; wanted {GOODPUT:.0%}"),
        (slower <= SLOWER, f"p99 is {slower:.2f} times the unloaded; wanted {SLOWER:g}"),
        (
            overload.refused_p99_ms <= REFUSAL_MS,
            f"refusals take {overload.refused_p99_ms:.0f} ms; wanted {REFUSAL_MS:.0f}",
        ),
        (not errors, f"{errors} requests failed"),
    ]
    return [f"MISSED: {result.name}: {text}." for reached, text in bars if not reached]
