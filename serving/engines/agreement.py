"""Whether two libraries answer alike: the same rows, answered within a tolerance."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.errors import ModelLoadError

Rows = NDArray[np.float32]


class Tolerance(NamedTuple):
    """Two answers are the same if they differ by no more than the sum of the two."""

    absolute: float
    relative: float
    """As a part of the expected answer."""

    def __str__(self) -> str:
        return f"{self.absolute:g} + {self.relative:g} of the value"


class Agreement(NamedTuple):
    """What a comparison that was passed has shown."""

    rows: int
    equal: int
    """Rows whose answers are the same to the last bit."""
    difference: float
    """The largest."""


def check(
    expected: Rows,
    found: Rows,
    tolerance: Tolerance,
    source: str = "the rows",
    asked: Rows | None = None,
) -> Agreement:
    """Compare two models' answers to the same rows.

    Args:
        expected: What the one answers, of shape (rows,) or (rows, classes).
        found: What the other answers.
        tolerance: How much they may differ.
        source: What the rows are called in the error.
        asked: The rows, of shape (rows, features), for the error to quote.

    Raises:
        ModelLoadError: the answers differ by more; names the worst row.
    """
    if expected.shape != found.shape:
        raise ModelLoadError(
            f"The converted model answers in the shape {found.shape}, not {expected.shape}."
        )
    left, right = expected.reshape(len(expected), -1), found.reshape(len(found), -1)
    with np.errstate(invalid="ignore"):
        difference = np.abs(left - right)
        excess = difference - (tolerance.absolute + tolerance.relative * np.abs(left))
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    excess[same], difference[same] = -np.inf, 0
    worst = int(np.nan_to_num(excess, nan=np.inf).max(axis=1).argmax())
    if not (excess[worst] <= 0).all():
        quote = "" if asked is None else f" The row: {asked[worst].tolist()}"
        raise ModelLoadError(
            f"The converted model differs from the booster: row {worst + 1} of {source} is "
            f"answered {right[worst].tolist()} instead of {left[worst].tolist()}, which is "
            f"{difference[worst].max():.2g} apart; allowed is {tolerance}.{quote}"
        )
    return Agreement(len(left), int(same.all(axis=1).sum()), float(difference.max(initial=0)))
