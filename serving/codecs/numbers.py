"""Python's numbers into arrays by ``struct``, several times faster than NumPy takes them."""

import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKABLE = "fdbBhHiIlLqQ"
"""Element types, by the letter that they have in NumPy and in ``struct``."""

MAX_AXES = 32


def pack(values: Sequence[Any], shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """An array of that shape and PACKABLE type of numbers in C order.

    None: one of them is no number, or, for a type of integers, no integer, or it is out of the
    type's range. True is 1.
    """
    array = np.empty(shape, dtype)
    try:
        _packer(len(values), dtype.char).pack_into(array.data, 0, *values)
    except (struct.error, OverflowError):
        return None
    return array


def nested(value: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """An array of nested lists of numbers; None where they are ragged or empty, or as ``pack``."""
    if dtype.char not in PACKABLE or not isinstance(value, list):
        return None
    shape = [len(value)]
    while value and isinstance(value[0], list):
        width = len(value[0])
        if len(shape) == MAX_AXES or any(
            not isinstance(part, list) or len(part) != width for part in value
        ):
            return None
        shape.append(width)
        value = list(chain.from_iterable(value))
    return pack(value, shape, dtype) if value else None


@lru_cache(256)
def _packer(count: int, letter: str) -> struct.Struct:
    return struct.Struct(f"{count}{letter}")
