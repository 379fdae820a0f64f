"""How long calls take, compared with each other."""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import NamedTuple

SECONDS = 0.25
"""Spent on each call."""

TURNS = 5

MOST_CALLS = 500
"""In a turn."""


class Speed(NamedTuple):
    """Median times before and after, in seconds."""

    what: str
    before: float
    after: float


def counted(rows: int) -> str:
    """A number of rows in words."""
    return f"{rows:,} row{'s' * (rows != 1)}"


def medians(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The median time of each call, in seconds.

    The calls take turns, so that what else the machine does meets all of them. A turn is many calls
    of one kind: the threads of a library wait busily for a while after it, and would slow the next.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(TURNS):
        for call, own in zip(calls, times, strict=True):
            own += _turn(call)
    return [median(own) for own in times]


def _turn(call: Callable[[], object]) -> list[float]:
    """The times of one call after the other, the first of which is not counted."""
    call()
    times: list[float] = []
    end = perf_counter() + SECONDS / TURNS
    while not times or (perf_counter() < end and len(times) < MOST_CALLS):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return times
