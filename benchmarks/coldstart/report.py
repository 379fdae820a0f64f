"""From times to the table, and the bar to reach."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

BAR = 1.3
"""Most times that the first answer may take of what the bare function takes."""

HEADER = ("model", "bare, ms", "lowest", "ours, ms", "lowest", "ratio")


class Result(NamedTuple):
    """Seconds to the first answer, round by round."""

    model: str
    bare: list[float]
    ours: list[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: the two of a round were measured side by side."""
        return median(ours / bare for ours, bare in zip(self.ours, self.bare, strict=True))


def table(results: Sequence[Result]) -> str:
    """The figures in Markdown."""
    rows = [HEADER, ("---", *["---:"] * (len(HEADER) - 1)), *map(_row, results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def missed(result: Result) -> list[str]:
    """A sentence if the bar is missed."""
    if result.ratio <= BAR:
        return []
    return [f"{result.model}: the first answer takes {result.ratio:.2f} times; the bar is {BAR}."]


def _row(result: Result) -> tuple[str, ...]:
    figures = (median(result.bare), min(result.bare), median(result.ours), min(result.ours))
    return (result.model, *(f"{1000 * seconds:.0f}" for seconds in figures), f"{result.ratio:.2f}")
