"""A decoded value into an array of the type and shape that a model's input declares.

Nothing is rounded or cut off silently: integers are exact, and a float is an integer only where it
is whole. Floats are converted to the input's precision; what is too large for it is infinity.
"""

import math
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.codecs import Sparse
from serving.codecs.numbers import nested
from serving.codecs.text import to_float
from serving.errors import DecodeError
from serving.model import Tensor

Array = NDArray[Any]

_NUMBERS = {int, bool, float, NoneType}


def describe(inputs: Sequence[Tensor]) -> str:
    """What a model takes, for error messages: ``x: float32 of shape (rows, 4)``."""
    return "; ".join(f"{tensor.name}: {_wanted(tensor)}" for tensor in inputs)


def fit(value: Any, tensor: Tensor, *, record: bool = False) -> Array:
    """The value as ``tensor`` declares it.

    Args:
        value: An array, or nested lists of numbers or text; None among floats is NaN.
        tensor: The input. A table of shape (rows, columns) also fits an input of more axes whose
            rows have that many elements.
        record: Whether the value may be a single record, without the axis of the rows.

    Raises:
        DecodeError: the value is ragged, of another type or of another shape.
    """
    if isinstance(value, np.ndarray) and value.dtype != object:
        array = _cast(value, tensor)
    else:
        packed = None if tensor.dtype == "str" else nested(value, np.dtype(tensor.dtype or "f"))
        array = _convert(np.asarray(value, dtype=object), tensor) if packed is None else packed
    return _shape(array, tensor, record=record)


def columns(table: Array, inputs: Sequence[Tensor]) -> dict[str, Array]:
    """A table's columns handed to several inputs, in the order of their declaration.

    Raises:
        DecodeError: the inputs do not say how many columns they take, or take another number.
    """
    widths = [_width(tensor) for tensor in inputs]
    if None in widths or table.ndim != 2 or table.shape[1] != sum(filter(None, widths)):
        raise DecodeError(
            f"The body is a table of shape {table.shape}; the model has {len(inputs)} inputs "
            f"({describe(inputs)}). A table fits where it has a column for each element of a row; "
            f"JSON can name them: {_example(inputs)}."
        )
    arrays, start = {}, 0
    for tensor, width in zip(inputs, widths, strict=True):
        end = start + (width or 0)
        arrays[tensor.name] = fit(table[:, start:end], tensor)
        start = end
    return arrays


def dense(table: Sparse, inputs: Sequence[Tensor]) -> Array:
    """A sparse table with zeros in place of what is absent, as wide as the inputs together.

    Raises:
        DecodeError: the table is wider, or the inputs do not say how wide they are.
        PayloadTooLarge: the dense table would be too large.
    """
    widths = [_width(tensor) for tensor in inputs]
    width = sum(filter(None, widths))
    if not widths or None in widths or table.columns > width:
        raise DecodeError(
            f"The body is a sparse table of {table.columns} columns; the model takes "
            f"{describe(inputs)}."
        )
    return table.dense(width, 0, table.values.dtype)


def cells(rows: list[list[str]], inputs: Sequence[Tensor]) -> Array:
    """A table of text as one of objects, numbers where an input takes numbers.

    Raises:
        DecodeError: a cell of such an input is no number.
    """
    table = np.asarray(rows, dtype=object)
    kinds = [tensor.dtype for tensor in inputs for _ in range(_width(tensor) or 1)]
    if len(kinds) != table.shape[1]:
        kinds = [inputs[0].dtype if len(inputs) == 1 else "str"] * table.shape[1]
    for column, kind in enumerate(kinds):
        if kind != "str":
            table[:, column] = list(_numbers(table[:, column], column))
    return table


def _numbers(texts: Array, column: int) -> Iterator[float | None]:
    for row, text in enumerate(texts, 1):
        try:
            yield _number(text.strip())
        except ValueError as error:
            raise DecodeError(
                f"Row {row}, column {column + 1}: {text[:40]!r} is no number."
            ) from error


def _number(text: str) -> float | None:
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        return int(text)
    return to_float(text) if text else None


def _convert(objects: Array, tensor: Tensor) -> Array:
    """An array of Python's own values as one of the input's type."""
    kinds = set(map(type, objects.ravel().tolist()))
    expected = {str} if tensor.dtype == "str" else _NUMBERS
    if not kinds <= expected:
        raise DecodeError(_misfit(kinds - expected, tensor))
    if tensor.dtype == "str":
        return objects
    dtype = np.dtype(tensor.dtype or np.float32)
    exact = dtype.kind == "f" or kinds == {bool} or (dtype.kind in "iu" and float not in kinds)
    try:
        with np.errstate(over="ignore"):
            return objects.astype(dtype) if exact else _cast(objects.astype(np.float64), tensor)
    except (OverflowError, TypeError) as error:
        raise DecodeError(f"Input {tensor.name!r} takes {dtype}: {error}.") from error


def _misfit(kinds: set[type], tensor: Tensor) -> str:
    wanted = f"input {tensor.name!r} takes {_wanted(tensor)}"
    if list in kinds:
        return f"The lists are not all of one length; {wanted}."
    names = {dict: "an object", str: "text", NoneType: "null"}
    found = ", ".join(sorted(names.get(kind, "a number") for kind in kinds))
    return f"The body has {found} where {wanted}."


def _cast(array: Array, tensor: Tensor) -> Array:
    if tensor.dtype == "str":
        if array.dtype.kind != "U":
            raise DecodeError(f"Input {tensor.name!r} takes text; the body has {array.dtype}.")
        return array.astype(object)
    if array.dtype.kind not in "biuf":
        raise DecodeError(
            f"Input {tensor.name!r} takes {_wanted(tensor)}; the body has {array.dtype}."
        )
    target = np.dtype(tensor.dtype or array.dtype)
    if array.dtype == target:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(target)
    if target.kind != "f" and not np.array_equal(cast, array):
        raise DecodeError(f"Input {tensor.name!r} takes {target}; the body has others.")
    return cast


def _shape(array: Array, tensor: Tensor, *, record: bool) -> Array:
    declared = tensor.shape
    if not declared or _matches(array.shape, declared):
        return array
    if record and _matches(array.shape, declared[1:]):
        return array[np.newaxis]
    width = _width(tensor)
    if width and array.ndim <= 2:
        single = record and array.ndim < 2 and array.size == width
        rows = 1 if single else next(iter(array.shape), 0)
        if array.size == rows * width and declared[0] in (None, rows):
            return array.reshape(rows, *declared[1:])
    raise DecodeError(
        f"Input {tensor.name!r} takes {_wanted(tensor)}; the body has shape {array.shape}."
    )


def _matches(shape: tuple[int, ...], declared: tuple[int | None, ...]) -> bool:
    return len(shape) == len(declared) and all(
        length is None or length == actual for actual, length in zip(shape, declared, strict=True)
    )


def _width(tensor: Tensor) -> int | None:
    """Elements in a row; None where the shape does not say."""
    lengths = [length for length in tensor.shape[1:] if length is not None]
    if not tensor.shape or len(lengths) < len(tensor.shape) - 1:
        return None
    return math.prod(lengths)


def _wanted(tensor: Tensor) -> str:
    dtype = {"": "numbers", "str": "text"}.get(tensor.dtype, tensor.dtype)
    if not tensor.shape:
        return f"{dtype} of any shape"
    first, *rest = tensor.shape
    axes = ["rows" if first is None else str(first)]
    axes += ["any" if length is None else str(length) for length in rest]
    return f"{dtype} of shape ({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def _example(inputs: Sequence[Tensor]) -> str:
    return '{"inputs": {' + ", ".join(f'"{tensor.name}": […]' for tensor in inputs) + "}}"
