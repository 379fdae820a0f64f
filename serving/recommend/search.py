"""The best of a grid without trying all of it.

One variable is changed at a time while the others stay as they are best so far, until nothing gets
better. What is far behind in a short trial gets no long one. That finds the best of a grid where
each variable has its effect whatever the others are, or nearly so; a variable that pays only
together with another may be missed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

SHORT = 0.25
"""Effort of a first trial, of which the whole is 1."""

CLOSE = 0.85
"""What reaches this part of the best in a short trial gets a long one."""

Candidate = tuple[tuple[str, str], ...]
"""Names of variables with their values."""

Grid = Mapping[str, Sequence[str]]
"""The values of each variable that may be tried, the first of them to begin with."""


class Trial(NamedTuple):
    """What a candidate has come to."""

    candidate: Candidate
    score: float
    """The higher the better; below 0 where a demand is not met."""
    whole: bool
    """It was measured at length."""


def best(grid: Grid, measure: Callable[[Candidate, float], float]) -> tuple[Trial, list[Trial]]:
    """The best candidate, and all that were tried, in order.

    Args:
        grid: What may be tried.
        measure: Gives a candidate's score for an effort, which is `SHORT` or 1.
    """
    tried: dict[Candidate, Trial] = {}

    def attempt(candidate: Candidate, lead: float) -> Trial:
        known = tried.get(candidate)
        if known is None:
            known = tried[candidate] = Trial(candidate, measure(candidate, SHORT), whole=False)
        if not known.whole and known.score >= (CLOSE * lead if lead > 0 else lead):
            known = tried[candidate] = Trial(candidate, measure(candidate, 1.0), whole=True)
        return known

    leader = attempt(tuple((name, values[0]) for name, values in grid.items()), float("-inf"))
    improved = True
    while improved:
        improved = False
        for name, values in grid.items():
            for value in values:
                candidate = tuple(
                    (each, value if each == name else held) for each, held in leader.candidate
                )
                trial = attempt(candidate, leader.score)
                if trial.whole and trial.score > leader.score:
                    leader, improved = trial, True
    return leader, list(tried.values())
