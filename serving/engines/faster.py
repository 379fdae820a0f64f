"""Of two libraries with the same trees, the faster one for each number of rows.

Both are measured when the model is loaded, on batches of growing size, and their answers compared.
What was not measured and compared, or is not clearly faster, is left to the usual one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from statistics import median
from typing import NamedTuple

import numpy as np

from serving.engines import agreement
from serving.engines.agreement import Rows, Tolerance
from serving.engines.ensemble import Predictor

BUDGET_SECONDS = 0.1
"""CPU time of the loading thread for all of it. Sizes that no longer fit are not measured; only a
model whose first few calls for one row take longer exceeds it."""

TURNS, CALLS = 3, 3
"""The libraries take turns of so many calls, the first of which is not counted: what one leaves in
the processor's caches, or its threads that do not yet sleep, slow the other's next."""

CLEARLY = 0.9
"""The other is used where it takes at most this part of the usual one's time."""

LARGEST, MOST_CELLS = 1024, 4_000_000
"""Bounds of a batch that is measured, however large one may be."""


class Measurement(NamedTuple):
    """What a batch takes, in seconds: the median of several calls."""

    rows: int
    usual: float
    other: float

    @property
    def pays(self) -> bool:
        """Whether the other is clearly faster."""
        return self.other <= CLEARLY * self.usual


class Comparison(NamedTuple):
    """What was found out about two libraries."""

    measured: Sequence[Measurement]
    """By growing numbers of rows, from 1."""
    difference: float
    """The largest of two answers."""


def measure(
    usual: Predictor,
    other: Predictor,
    rows: Rows,
    tolerance: Tolerance,
    *,
    largest: int,
    threads: int,
) -> Comparison:
    """Compare the times and the answers of two libraries.

    Args:
        usual: The one.
        other: The other.
        rows: To ask both for, again and again, of shape (rows, features).
        tolerance: How much answers may differ.
        largest: Rows of the largest batch that there will be.
        threads: What a library computes with.

    Raises:
        ModelLoadError: an answer differs by more.
    """
    # What is computed in this thread alone is told by its CPU time from what others take, such as
    # the workers that load at the same time.
    clock = time.thread_time if threads == 1 else time.perf_counter
    end = time.thread_time() + BUDGET_SECONDS
    measured: list[Measurement] = []
    difference = cost = 0.0
    for size in _sizes(min(largest, LARGEST, max(1, MOST_CELLS // rows.shape[1]))):
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(TURNS):
            begun = time.thread_time()
            if begun + cost > end:
                break
            batches = [_batch(rows, size, turn * CALLS + call) for call in range(CALLS)]
            expected = _turn(usual, batches, clock, times[0])
            found = _turn(other, batches, clock, times[1])
            for pair in zip(expected, found, strict=True):
                shown = agreement.check(*pair, tolerance)
                difference = max(difference, shown.difference)
            cost = time.thread_time() - begun
        if not times[0]:
            break
        measured.append(Measurement(size, *map(median, times)))
        cost *= 2
    return Comparison(measured, difference)


def _sizes(largest: int) -> Iterator[int]:
    """Powers of two, and then the largest."""
    size = 1
    while size < largest:
        yield size
        size *= 2
    yield largest


def _batch(rows: Rows, size: int, number: int) -> Rows:
    """The next so many rows, from the first again after the last."""
    return np.take(rows, range(number * size, (number + 1) * size), axis=0, mode="wrap")


def _turn(
    predict: Predictor, batches: Sequence[Rows], clock: Callable[[], float], times: list[float]
) -> list[Rows]:
    """The answers to some batches; the times of all but the first are added to ``times``."""
    answers = [predict(batches[0])]
    for batch in batches[1:]:
        start = clock()
        answers.append(predict(batch))
        times.append(clock() - start)
    return answers


class Faster:
    """Predicts each batch with the one of two libraries that was the faster for its size."""

    def __init__(self, usual: Predictor, other: Predictor, measured: Sequence[Measurement]) -> None:
        """Take what was measured at a size for that and for those between it and the one before."""
        self._usual = usual
        self._by_rows = [usual]
        for each in measured:
            best = other if each.pays else usual
            self._by_rows += [best] * (each.rows + 1 - len(self._by_rows))

    def __call__(self, rows: Rows) -> Rows:
        """Predictions for rows of shape (rows, features)."""
        count = len(rows)
        predict = self._by_rows[count] if count < len(self._by_rows) else self._usual
        return predict(rows)


def describe(measured: Sequence[Measurement], usual: str, other: str) -> str:
    """Which library predicts what: ``ONNX Runtime for 1 to 32 rows, XGBoost for others``."""
    ranges, first = [], 1
    for pays, group in groupby(measured, key=lambda each: each.pays):
        last = list(group)[-1].rows
        if pays:
            ranges.append(str(first) if first == last else f"{first} to {last}")
        first = last + 1
    if not ranges:
        return f"{usual} for all numbers of rows"
    plural = "" if ranges == ["1"] else "s"
    return f"{other} for {' and '.join(ranges)} row{plural}, {usual} for others"
