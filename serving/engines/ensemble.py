"""Several boosters that answer together."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Predictor = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Takes rows of shape (rows, features), NaN where a value is missing; returns predictions of shape
(rows,) or (rows, classes)."""

VOTING = {"multi:softmax", "binary:hinge"}
"""Objectives that predict labels, of which a mean says nothing."""


def combined(each: Sequence[Predictor], objective: str) -> Predictor:
    """The predictions of one, or of several together: the mean, or of labels the majority."""
    if len(each) == 1:
        return each[0]
    if objective in VOTING:
        return lambda rows: _majority(np.stack([predict(rows) for predict in each]))
    return lambda rows: np.mean([predict(rows) for predict in each], axis=0, dtype=np.float32)


def _majority(votes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The label most boosters vote for, of shape (rows,); the smallest of those with most votes."""
    labels = np.unique(votes)
    counts = [(votes == label).sum(axis=0) for label in labels]
    majority: NDArray[np.float32] = labels[np.argmax(counts, axis=0)]
    return majority
