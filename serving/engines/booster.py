"""Boosters' predictions of dense rows, by the shortest way through XGBoost's C interface.

``Booster.inplace_predict`` spends most of its time, for few rows, on the way in and out: it
inspects the input's type, writes two JSON documents, checks names, and has the library make an
object for the rows. The C function behind it (XGBoosterPredictFromDense, documented and stable)
takes less than half as long for up to 32 rows; ``python -m benchmarks.engines`` measures both.
"""

import ctypes
import json
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.engines.boosters import reason
from serving.engines.ensemble import Predictor, combined
from serving.engines.libxgboost import (
    LIBRARY,
    Booster,
    Matrix,
    XGBoostError,
    array_interface,
    check,
)
from serving.errors import BadRequest

ALL_ROUNDS = (0, 0)
"""The range of all boosting rounds."""

_RESULT = (
    ctypes.POINTER(ctypes.POINTER(ctypes.c_uint64)),
    ctypes.POINTER(ctypes.c_uint64),
    ctypes.POINTER(ctypes.POINTER(ctypes.c_float)),
)
_PREDICT = LIBRARY.XGBoosterPredictFromDense
_PREDICT.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, *_RESULT)
_PREDICT_MATRIX = LIBRARY.XGBoosterPredictFromDMatrix
_PREDICT_MATRIX.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, *_RESULT)


def predictor(boosters: Sequence[Booster], objective: str) -> Predictor:
    """The predictions of a booster, or of several together: the mean, or of labels the majority."""
    return combined([_single(booster) for booster in boosters], objective)


def _single(booster: Booster) -> Predictor:
    if booster.config()["gradient_booster"]["name"] == "gblinear":
        return LinearPredictor(booster)
    # A booster that stopped early predicts with its best round, not with those after it.
    best = booster.attribute("best_iteration")
    return DensePredictor(booster, (0, int(best) + 1 if best else 0))


class _Threads(threading.local):
    """What stands for the rows of a call, for each thread.

    Given none, the library makes one for each call, and that reads the container's CPU quota from
    the file system each time: a third of what a call for one row takes.
    """

    def __init__(self) -> None:
        self.proxy = Matrix.proxy()


_threads = _Threads()


class DensePredictor:
    """Calls a booster for dense float32 rows. May be called from several threads at once."""

    def __init__(self, booster: Booster, rounds: tuple[int, int] = ALL_ROUNDS) -> None:
        """Keep the booster, and the range of its boosting rounds that predict."""
        self._booster = booster
        self._config = _config(rounds, missing=math.nan, cache_id=0)

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predictions of shape (rows,) or (rows, classes) for rows of shape (rows, features).

        NaN is a missing value.

        Raises:
            XGBoostError: the library refuses.
        """
        rows = np.ascontiguousarray(rows, np.float32)
        proxy = _threads.proxy.handle
        return _result(_PREDICT, self._booster.handle, array_interface(rows), self._config, proxy)


class LinearPredictor:
    """Calls a linear booster, which cannot predict in place: its rows are copied."""

    def __init__(self, booster: Booster) -> None:
        """Keep the booster."""
        self._booster = booster
        self._config = _config(ALL_ROUNDS)

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """As for DensePredictor, but that an infinity is a BadRequest."""
        try:
            matrix = Matrix.of(np.ascontiguousarray(rows, np.float32))
        except XGBoostError as error:
            raise BadRequest(f"Unable to evaluate payload provided: {reason(error)}") from error
        return _result(_PREDICT_MATRIX, self._booster.handle, matrix.handle, self._config)


def _config(rounds: tuple[int, int], **more: float) -> bytes:
    first, last = rounds
    values = {"type": 0, "training": False, "iteration_begin": first, "iteration_end": last}
    return json.dumps({**values, "strict_shape": False, **more}).encode()


def _result(function: Any, *arguments: object) -> NDArray[np.float32]:
    """What a function of the library predicts. Raises XGBoostError."""
    shape: Any = ctypes.POINTER(ctypes.c_uint64)()
    axes = ctypes.c_uint64()
    values: Any = ctypes.POINTER(ctypes.c_float)()
    check(function(*arguments, ctypes.byref(shape), ctypes.byref(axes), ctypes.byref(values)))
    lengths = tuple(shape[axis] for axis in range(axes.value))
    # The memory is the library's, one piece for each thread, until the next call. NumPy's as_array
    # would make, and keep, a type for each number of rows there ever is.
    content = ctypes.string_at(values, math.prod(lengths) * 4)
    return np.frombuffer(content, np.float32).reshape(lengths)
