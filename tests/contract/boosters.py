"""Boosters of each objective, and what the library itself predicts with them."""

from functools import cache
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

ROWS = np.random.default_rng(5).random((60, 3)).astype(np.float32)
"""Rows to train on and to ask."""

CLASSES = 3
_SCORE = ROWS @ np.array([1, 2, 3], np.float32)
_LABELS = {
    "reg": _SCORE / 10 + 0.1,
    "binary": (_SCORE > 3).astype(int),
    "multi": np.digitize(_SCORE, [2.6, 3.4]),
    "rank": (_SCORE > 3).astype(int),
}
"""What is learned, by the family of the objective."""


@cache
def trained(objective: str, seed: int = 0) -> xgboost.Booster:
    """A booster of few trees; another seed makes one that is right about other rows."""
    family = objective.partition(":")[0]
    parameters: dict[str, Any] = {"objective": objective, "max_depth": 2, "nthread": 1}
    if family == "multi":
        parameters["num_class"] = CLASSES
    part = np.random.default_rng(seed).choice(len(ROWS), 20, replace=False)
    matrix = xgboost.DMatrix(ROWS[part], _LABELS[family][part])
    if family == "rank":
        matrix.set_group([len(part)])
    return xgboost.train(parameters, matrix, 6)


def stopped() -> xgboost.Booster:
    """A booster that stopped early, whose last rounds make it worse."""
    matrix = xgboost.DMatrix(ROWS, _LABELS["binary"])
    contrary = [(xgboost.DMatrix(ROWS, 1 - _LABELS["binary"]), "contrary")]
    return xgboost.train(
        {"objective": "binary:logistic", "nthread": 1},
        matrix,
        12,
        evals=contrary,
        early_stopping_rounds=3,
        verbose_eval=False,
    )


def predicted(booster: xgboost.Booster, rounds: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
    """The library's own predictions for ROWS."""
    predictions: NDArray[np.float32] = booster.inplace_predict(ROWS, iteration_range=rounds)
    return predictions


def raw(booster: xgboost.Booster, form: str = "ubj") -> bytes:
    """The booster's file."""
    return bytes(booster.save_raw(form))
