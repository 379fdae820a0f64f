"""Whether a converted model answers as the one that it was made of."""

import json
from collections.abc import Iterator

import numpy as np
from xgboost import Booster

from serving.engines import agreement
from serving.engines.agreement import Agreement, Rows, Tolerance
from serving.engines.ensemble import Predictor

TOLERANCE = Tolerance(absolute=1e-6, relative=1e-5)
"""Of two answers. float32 has seven digits, and a sum over many trees loses some."""

FEWEST_ROWS, MOST_ROWS = 2_000, 100_000
"""Bounds of the number of rows that are made up."""

BLOCK = 1_000
"""Rows of one call."""


def check(expected: Predictor, found: Predictor, rows: Rows, source: str) -> Agreement:
    """Compare the answers of two models to the same rows.

    Args:
        expected: The model as it was.
        found: The converted one.
        rows: Of shape (rows, features).
        source: What the rows are called in the error.

    Raises:
        ModelLoadError: the answers differ by more than the tolerance; names the worst row.
    """
    left, right = (
        np.concatenate([predict(block) for block in _blocks(rows)]) for predict in (expected, found)
    )
    return agreement.check(left, right, TOLERANCE, source, rows)


def _blocks(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))


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
