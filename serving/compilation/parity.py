"""Whether a converted model answers as the one that it was made of."""

import json
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from xgboost import Booster

from serving.engines.ensemble import Predictor
from serving.errors import ModelLoadError

ABSOLUTE, RELATIVE = 1e-6, 1e-5
"""Two answers are the same if they differ by no more than the sum of ABSOLUTE and RELATIVE times
the expected one. float32 has seven digits, and a sum over many trees loses some."""

FEWEST_ROWS, MOST_ROWS = 2_000, 100_000
"""Bounds of the number of rows that are made up."""

BLOCK = 1_000
"""Rows of one call."""

Rows = NDArray[np.float32]


class Parity(NamedTuple):
    """What a comparison that was passed has shown."""

    rows: int
    equal: int
    """Rows whose answers are the same to the last bit."""
    difference: float
    """The largest."""


def check(expected: Predictor, found: Predictor, rows: Rows, source: str) -> Parity:
    """Compare the answers of two models to the same rows.

    Args:
        expected: The model as it was.
        found: The converted one.
        rows: Of shape (rows, features).
        source: What the rows are called in the error.

    Raises:
        ModelLoadError: the answers differ by more than the tolerance; names the worst row.
    """
    starts = range(0, len(rows), BLOCK)
    left = np.concatenate([expected(rows[start : start + BLOCK]) for start in starts])
    right = np.concatenate([found(rows[start : start + BLOCK]) for start in starts])
    if left.shape != right.shape:
        raise ModelLoadError(
            f"The converted model answers in the shape {right.shape}, not {left.shape}."
        )
    left, right = left.reshape(len(rows), -1), right.reshape(len(rows), -1)
    with np.errstate(invalid="ignore"):
        difference = np.abs(left - right)
        excess = difference - (ABSOLUTE + RELATIVE * np.abs(left))
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    excess[same], difference[same] = -np.inf, 0
    worst = int(np.nan_to_num(excess, nan=np.inf).max(axis=1).argmax())
    if not (excess[worst] <= 0).all():
        raise ModelLoadError(
            f"The converted model differs from the booster: row {worst + 1} of {source} is "
            f"answered {right[worst].tolist()} instead of {left[worst].tolist()}, which is more "
            f"than {ABSOLUTE:g} + {RELATIVE:g} of the value apart. The row: {rows[worst].tolist()}"
        )
    return Parity(len(rows), int(same.all(axis=1).sum()), float(difference.max(initial=0)))


def made_up(booster: Booster) -> Rows:
    """Rows that go to both sides of every split, as far as MOST_ROWS reach; equal every time.

    Each cell is a threshold of its feature, the next number below or above one, or missing.
    """
    generator = np.random.default_rng(0)
    cells = [_candidates(each) for each in _thresholds(booster)]
    count = min(MOST_ROWS, max(FEWEST_ROWS, *(len(each) for each in cells)))
    return np.column_stack([_column(each, count, generator) for each in cells])


def _thresholds(booster: Booster) -> list[Rows]:
    """For each feature, where trees split it."""
    gradient = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    found: list[set[float]] = [set() for _ in range(booster.num_features())]
    for tree in gradient.get("gbtree", gradient)["model"]["trees"]:
        for feature, value, child in zip(
            tree["split_indices"], tree["split_conditions"], tree["left_children"], strict=True
        ):
            if child >= 0:
                found[feature].add(value)
    return [np.array(sorted(each), np.float32) for each in found]


def _candidates(thresholds: Rows) -> Rows:
    infinity = np.float32(np.inf)
    beside = [np.nextafter(thresholds, -infinity), np.nextafter(thresholds, infinity)]
    others = np.array([np.nan, 0, -infinity, infinity], np.float32)
    return np.concatenate([thresholds, *beside, others])


def _column(candidates: Rows, count: int, generator: np.random.Generator) -> Rows:
    """Each of the candidates as often as the others, in any order."""
    repeated = np.resize(generator.permutation(candidates), count)
    return generator.permutation(repeated)
