"""From answers to the table, and the bars to reach."""

from collections.abc import Iterable, Sequence
from statistics import median
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


class Round(NamedTuple):
    """A server of its own, asked for its capacity and then under both loads."""

    capacity: float
    """Answers a second with as many requests under way as there are connections."""
    unloaded: Phase
    overload: Phase

    @property
    def share(self) -> float:
        """Part of the capacity that is answered in overload."""
        return self.overload.answered / self.capacity

    @property
    def slower(self) -> float:
        """The p99 of the accepted, in times of the unloaded one."""
        return self.overload.p99_ms / self.unloaded.p99_ms


class Result(NamedTuple):
    """One model, in at least one round."""

    name: str
    rounds: list[Round]

    @property
    def errors(self) -> int:
        """Requests of all rounds with neither a prediction nor a refusal."""
        return sum(one.unloaded.errors + one.overload.errors for one in self.rounds)


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
    """The medians over the rounds as a Markdown table, with the range of what has a bar."""
    rows = [HEADER, tuple("---" if name == "model" else "---:" for name in HEADER)]
    for result in results:
        name, rounds = result
        overloads = [one.overload for one in rounds]
        rows.append(
            (
                name,
                f"{median(one.capacity for one in rounds):,.0f}",
                f"{median(one.unloaded.p99_ms for one in rounds):.1f}",
                f"{median(one.offered for one in overloads):,.0f}",
                f"{median(one.answered for one in overloads):,.0f}",
                _spread((one.share for one in rounds), 2),
                f"{median(one.p50_ms for one in overloads):.1f}",
                f"{median(one.p99_ms for one in overloads):.1f}",
                _spread((one.slower for one in rounds), 2),
                f"{median(one.refused for one in overloads):,.0f}",
                _spread((one.refused_p99_ms for one in overloads), 1),
                str(result.errors),
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _spread(values: Iterable[float], digits: int) -> str:
    """The median, with the lowest and the highest where there are several."""
    seen = list(values)
    middle = f"{median(seen):.{digits}f}"
    if len(seen) == 1:
        return middle
    return f"{middle} ({min(seen):.{digits}f} to {max(seen):.{digits}f})"


def missed(result: Result) -> list[str]:
    """The bars that the medians over the rounds missed, a sentence each."""
    share = median(one.share for one in result.rounds)
    slower = median(one.slower for one in result.rounds)
    refusal = median(one.overload.refused_p99_ms for one in result.rounds)
    bars = [
        (share >= GOODPUT, f"{share:.0%} of the capacity is answered; wanted {GOODPUT:.0%}"),
        (slower <= SLOWER, f"p99 is {slower:.2f} times the unloaded; wanted {SLOWER:g}"),
        (refusal <= REFUSAL_MS, f"refusals take {refusal:.0f} ms; wanted {REFUSAL_MS:.0f}"),
        (not result.errors, f"{result.errors} requests failed"),
    ]
    return [f"MISSED: {result.name}: {text}." for reached, text in bars if not reached]
