"""Selectable inference: what SageMaker's XGBoost container answers with, chosen by key.

``SAGEMAKER_INFERENCE_OUTPUT=predicted_label,probabilities`` makes each prediction an object of
those keys. Which keys an objective has, and their values, are the container's. A key that the
objective does not have is NaN; the container writes that into JSON as it is, which no parser takes:
here it is null.
"""

import logging
import math
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.codecs import BY_NAME
from serving.errors import PredictionError

log = logging.getLogger("serving")

CLASSES = ("predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores")
SCORES = ("predicted_label", "labels", "raw_score", "raw_scores")
VALUE = ("predicted_score",)

VALID = {
    "reg:squarederror": VALUE,
    "reg:logistic": VALUE,
    "reg:gamma": VALUE,
    "reg:absoluteerror": VALUE,
    "reg:tweedie": VALUE,
    "binary:logistic": CLASSES,
    "binary:logitraw": SCORES,
    "binary:hinge": SCORES,
    "multi:softmax": SCORES,
    "multi:softprob": CLASSES,
}
"""The keys that each objective has."""

WRITES = (
    "text/csv",
    "application/json",
    "application/jsonlines",
    "application/x-recordio-protobuf",
)
"""Media types that can carry them."""

Rows = NDArray[np.float32]


class Selection:
    """The chosen keys of one model's predictions."""

    def __init__(self, keys: str, objective: str, classes: int, batch: bool) -> None:
        """Take note of what is chosen.

        Args:
            keys: Names with commas between, as the setting has them.
            objective: The booster's, as XGBoost names it.
            classes: How many a ``multi:`` objective tells apart.
            batch: Whether answers become parts of one file, where each needs a last line break.
        """
        self._keys = keys.replace(" ", "").lower().split(",")
        self._objective = objective
        self._valid = VALID.get(objective, ())
        self._end = b"\n" if batch else b""
        if invalid := [key for key in self._keys if key not in self._valid]:
            log.warning(
                "objective %s does not have %s of SAGEMAKER_INFERENCE_OUTPUT; it has %s",
                objective,
                ", ".join(invalid),
                ", ".join(self._valid) or "none",
            )
        self._labels = list(range(classes if objective.startswith("multi:") else 2))

    def encode(self, predictions: Rows, media_type: str) -> bytes:
        """The chosen keys of predictions of shape (rows,) or (rows, classes).

        Raises:
            PredictionError: the objective has no keys to choose from.
        """
        if not self._valid:
            raise PredictionError(
                f"Objective `{self._objective}` is unsupported for selectable inference "
                f"(SAGEMAKER_INFERENCE_OUTPUT); it works with {', '.join(VALID)}."
            )
        columns = {key: self._column(key, predictions) for key in self._keys}
        if media_type == "application/x-recordio-protobuf":
            arrays = {key: np.asarray(column, np.float32) for key, column in columns.items()}
            return BY_NAME[media_type].encode(arrays)
        rows = list(zip(*columns.values(), strict=True))
        if media_type == "text/csv":
            return "\n".join(",".join(map(_cell, row)) for row in rows).encode() + self._end
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        if media_type == "application/jsonlines":
            return b"".join(orjson.dumps(item) + b"\n" for item in objects)
        return orjson.dumps({"predictions": objects})

    def _column(self, key: str, raw: Rows) -> list[Any]:
        """A key's values, one for each prediction."""
        if key not in self._valid:
            return [math.nan] * len(raw)
        if key == "predicted_label":
            return self._predicted(raw)
        if key == "labels":
            return [self._labels] * len(raw)
        if key in ("probabilities", "raw_scores") and raw.ndim == 1:
            return [[1.0 - value, value] for value in raw.tolist()]
        if key in ("probability", "raw_score") and raw.ndim == 2:
            return list(raw.max(axis=1).tolist())
        return list(raw.tolist())

    def _predicted(self, raw: Rows) -> list[Any]:
        labels: NDArray[Any]
        if raw.ndim == 2:
            labels = raw.argmax(axis=1)
        elif self._objective == "binary:logistic":
            labels = (raw > 0.5).astype(int)
        elif self._objective == "binary:logitraw":
            labels = (raw > 0).astype(int)
        else:
            labels = raw  # the objective predicts labels, as floats
        return list(labels.tolist())


def _cell(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)
