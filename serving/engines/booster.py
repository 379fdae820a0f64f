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
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from xgboost.libpath import find_lib_path

from serving.engines.boosters import reason
from serving.engines.ensemble import Predictor, combined
from serving.errors import BadRequest

_LIBRARY = ctypes.CDLL(find_lib_path()[0])  # the library xgboost itself has loaded
_PREDICT = _LIBRARY.XGBoosterPredictFromDense
_PREDICT.argtypes = [
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.POINTER(ctypes.c_uint64)),
    ctypes.POINTER(ctypes.c_uint64),
    ctypes.POINTER(ctypes.POINTER(ctypes.c_float)),
]
_LAST_ERROR = _LIBRARY.XGBGetLastError
_LAST_ERROR.restype = ctypes.c_char_p


def predictor(boosters: Sequence[xgboost.Booster], objective: str) -> Predictor:
    """The predictions of a booster, or of several together: the mean, or of labels the majority."""
    return combined([_single(booster) for booster in boosters], objective)


def _single(booster: xgboost.Booster) -> Predictor:
    # A booster that stopped early predicts with its best round, not with those after it.
    best = booster.attr("best_iteration")
    rounds = (0, int(best) + 1 if best else 0)
    learner = json.loads(booster.save_config())["learner"]
    if learner["gradient_booster"]["name"] != "gblinear":
        return DensePredictor(booster, rounds)
    return partial(_predict_linear, booster)


def _predict_linear(booster: xgboost.Booster, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear boosters cannot predict in place; a DMatrix, unlike that, takes no infinity."""
    try:
        return booster.predict(xgboost.DMatrix(rows), validate_features=False)
    except xgboost.core.XGBoostError as error:
        raise BadRequest(f"Unable to evaluate payload provided: {reason(error)}") from error


class _Proxy:
    """What stands for the rows of a call, in the library's memory."""

    def __init__(self) -> None:
        self.handle = ctypes.c_void_p()
        if _LIBRARY.XGProxyDMatrixCreate(ctypes.byref(self.handle)):
            raise xgboost.core.XGBoostError(_LAST_ERROR().decode())
        weakref.finalize(self, _LIBRARY.XGDMatrixFree, self.handle)


class _Threads(threading.local):
    """A proxy for each thread.

    Given none, the library makes one for each call, and that reads the container's CPU quota from
    the file system each time: a third of what a call for one row takes.
    """

    def __init__(self) -> None:
        self.proxy = _Proxy()


_threads = _Threads()


class DensePredictor:
    """Calls a booster for dense float32 rows. May be called from several threads at once."""

    def __init__(self, booster: xgboost.Booster, rounds: tuple[int, int]) -> None:
        """Keep the booster, and the range of its boosting rounds that predict; (0, 0): all."""
        self._booster = booster  # owns the handle
        self._handle = booster.handle
        config = {
            "type": 0,
            "training": False,
            "iteration_begin": rounds[0],
            "iteration_end": rounds[1],
            "missing": float("nan"),
            "strict_shape": False,
            "cache_id": 0,
        }
        self._config = json.dumps(config).encode()

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predictions of shape (rows,) or (rows, classes) for rows of shape (rows, features).

        NaN is a missing value.

        Raises:
            XGBoostError: the library refuses.
        """
        rows = np.ascontiguousarray(rows, np.float32)
        interface = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}' % (
            rows.ctypes.data,
            *rows.shape,
        )
        shape: Any = ctypes.POINTER(ctypes.c_uint64)()
        axes = ctypes.c_uint64()
        values: Any = ctypes.POINTER(ctypes.c_float)()
        if _PREDICT(
            self._handle,
            interface,
            self._config,
            _threads.proxy.handle,
            ctypes.byref(shape),
            ctypes.byref(axes),
            ctypes.byref(values),
        ):
            raise xgboost.core.XGBoostError(_LAST_ERROR().decode())
        lengths = tuple(shape[axis] for axis in range(axes.value))
        # The memory is the library's, one piece for each thread, until the next call. NumPy's
        # as_array would make, and keep, a type for each number of rows there ever is.
        content = ctypes.string_at(values, math.prod(lengths) * 4)
        return np.frombuffer(content, np.float32).reshape(lengths)
