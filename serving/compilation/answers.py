"""The answers of an ONNX model compared with those of the model it was made of."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.codecs import Outputs
from serving.errors import ModelLoadError, SettingError

RELATIVE, OF_LARGEST = 1e-4, 1e-5
"""Two float answers are the same if they differ by no more than RELATIVE times the expected one and
OF_LARGEST times the largest of that output, to which a sum of many terms may have cancelled."""

HALF = 100
"""How many times more float16 may differ, which has three digits."""

TOLERANCE = f"{RELATIVE:g} of the value + {OF_LARGEST:g} of the output's largest"


class Difference(NamedTuple):
    """How far an output is from what it was."""

    output: str
    largest: float
    """Absolute; NaN where it has no numbers."""
    mean: float
    same: float | None
    """Share of the rows that have the same class, or without classes, for what are no floats, the
    same value; None for floats without classes."""


def check(expected: Outputs, found: Outputs, source: str) -> float:
    """The largest absolute difference of outputs that are to be the same.

    Args:
        expected: What the model as it was answers.
        found: What the one made of it answers.
        source: What the inputs are called in the error.

    Raises:
        ModelLoadError: they differ by more than the tolerance; names the worst row.
    """
    largest = 0.0
    for name, left in expected.items():
        right = _counterpart(found, name, left)
        excess = _excess(left, right).reshape(len(left), -1).max(axis=1, initial=-np.inf)
        worst = int(excess.argmax()) if len(excess) else 0
        if len(excess) and excess[worst] > 0:
            raise ModelLoadError(
                f"The model made differs from the one it was made of: row {worst + 1} of {source} "
                f"is answered {name}={_short(right[worst])} instead of {_short(left[worst])}, "
                f"which is more than {TOLERANCE} apart."
            )
        if left.dtype.kind == "f":
            largest = max(largest, float(_distance(left, right).max(initial=0)))
    return largest


def measure(expected: Outputs, found: Outputs) -> list[Difference]:
    """How far each output is from what it was.

    Raises:
        ModelLoadError: the shapes differ.
    """
    shown = []
    for name, left in expected.items():
        right = _counterpart(found, name, left)
        largest = mean = float("nan")
        same: float | None = None
        if left.dtype.kind == "f":
            distance = _distance(left, right)
            largest, mean = float(distance.max(initial=0)), float(distance.mean())
        if _has_classes(left):
            same = float((left.argmax(axis=1) == right.argmax(axis=1)).mean())
        elif left.dtype.kind != "f":
            same = float((left == right).mean())
        shown.append(Difference(name, largest, mean, same))
    return shown


def classes(outputs: Outputs) -> NDArray[Any]:
    """The class of each row: that of the highest score, or else what a whole number says.

    Raises:
        SettingError: no output tells classes.
    """
    for values in outputs.values():
        if _has_classes(values):
            found: NDArray[np.int64] = values.argmax(axis=1)
            return found
    for values in outputs.values():
        if values.dtype.kind in "iu" and values.size == len(values):
            return np.ravel(values)
    listing = ", ".join(f"{name} {values.shape}" for name, values in outputs.items())
    raise SettingError(
        "--labels needs a model with an output of a score for each class, or of a whole number; "
        f"this one has {listing}."
    )


def _has_classes(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "f" and values.ndim == 2 and values.shape[1] > 1


def _counterpart(found: Outputs, name: str, left: NDArray[Any]) -> NDArray[Any]:
    right = found.get(name)
    if right is None or right.shape != left.shape:
        shape = "not at all" if right is None else f"in the shape {right.shape}"
        raise ModelLoadError(f"The model made answers {name} {shape}, not {left.shape}.")
    return right


def _distance(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    """Absolute differences; 0 where both are no number, or the same infinity."""
    wide = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(invalid="ignore"):
        distance = np.abs(wide[0] - wide[1])
    distance[(left == right) | (np.isnan(left) & np.isnan(right))] = 0
    return np.nan_to_num(distance, nan=np.inf)


def _excess(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    """By how much the tolerance is exceeded, where above 0."""
    if left.dtype.kind != "f":
        return np.where(left == right, -1.0, 1.0)
    wide = np.nan_to_num(np.abs(left.astype(np.float64)), nan=0.0, posinf=0.0)
    factor = HALF if left.dtype == np.float16 else 1
    allowed = factor * (RELATIVE * wide + OF_LARGEST * wide.max(initial=0))
    excess: NDArray[np.float64] = _distance(left, right) - allowed
    return excess


def _short(values: NDArray[Any]) -> str:
    return np.array2string(np.asarray(values), threshold=12, max_line_width=10_000)
