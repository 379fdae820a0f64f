"""Tensors: the protocol's datatypes and their values, as JSON and as bytes, and NumPy's arrays.

Bytes are as Triton's binary tensor extension has them: little-endian, in row-major order, a
boolean in one byte, and each element of BYTES after its length in four. Nothing is allocated on
the word of a shape: the values that came decide.
"""

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import DecodeError, NotAcceptable
from serving.model import Tensor

Array = NDArray[Any]

BYTES = "BYTES"
BF16 = "BF16"
"""Read as float32, which holds each of its values; NumPy has no type of its own for it."""

MAX_AXES = 32

NUMBERS = {
    "BOOL": np.dtype("?"),
    **{
        f"{sign}INT{size * 8}": np.dtype(f"<{sign.lower() or 'i'}{size}")
        for sign in ("U", "")
        for size in (1, 2, 4, 8)
    },
    **{f"FP{size * 8}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
"""Datatypes whose elements are all of one size."""

NAMES = {dtype.name: name for name, dtype in NUMBERS.items()}

_KINDS: dict[str, tuple[set[type], str]] = {
    "b": ({bool}, "true or false"),
    "i": ({int}, "whole numbers"),
    "u": ({int}, "whole numbers from 0 up"),
    "f": ({int, float, type(None)}, "numbers"),
}
"""What JSON may have for an element, by the kind of its type; null is NaN."""

_LENGTH = struct.Struct("<I")


def declared(tensor: Tensor) -> dict[str, Any]:
    """A model's input or output as metadata has it.

    What the model does not declare is told as FP32 of shape [-1].
    """
    datatype = BYTES if tensor.dtype == "str" else NAMES.get(tensor.dtype, "FP32")
    shape = [-1 if length is None else length for length in tensor.shape] or [-1]
    return {"name": tensor.name, "datatype": datatype, "shape": shape}


def known(name: str, datatype: object) -> str:
    """A datatype that can be read. Raises DecodeError where it is none."""
    if isinstance(datatype, str) and (datatype in NUMBERS or datatype in (BYTES, BF16)):
        return datatype
    raise DecodeError(
        f"Input {name!r} has the datatype {str(datatype)[:40]!r}, which is none of "
        f"{', '.join(NUMBERS)}, {BF16} and {BYTES}."
    )


def from_json(name: str, datatype: str, shape: Sequence[int], data: object) -> Array:
    """An array of values as JSON has them, in one list or nested as the shape has it.

    Elements of BYTES are text, which becomes UTF-8.

    Raises:
        DecodeError: they are no such values, or not as many as the shape has.
    """
    values = _flat(name, shape, data)
    kinds = set(map(type, values))
    if datatype == BYTES:
        if kinds != {str}:
            raise _misfit(name, datatype, kinds, "text")
        return _objects([value.encode(errors="surrogatepass") for value in values], shape)
    dtype = NUMBERS.get(datatype, NUMBERS["FP32"])
    expected, words = _KINDS[dtype.kind]
    if not kinds <= expected:
        raise _misfit(name, datatype, kinds, words)
    try:
        with np.errstate(over="ignore"):
            wide = np.array(values, np.float64) if dtype.kind == "f" else values
            return np.asarray(wide, dtype).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise DecodeError(f"Input {name!r} takes {datatype}: {error}.") from error


def from_bytes(name: str, datatype: str, shape: Sequence[int], data: bytes) -> Array:
    """An array of values as bytes. It is a copy, so that it is aligned and can be written to.

    Raises:
        DecodeError: there are not as many bytes as the shape has.
    """
    count = math.prod(shape)
    if datatype == BYTES:
        return _objects(_elements(name, count, data), shape)
    dtype = np.dtype("<u2") if datatype == BF16 else NUMBERS[datatype]
    if len(data) != count * dtype.itemsize:
        raise DecodeError(
            f"Input {name!r} has {len(data)} bytes; {datatype} of shape {list(shape)} has "
            f"{count * dtype.itemsize}."
        )
    if datatype == BF16:
        values: Array = (np.frombuffer(data, dtype).astype(np.uint32) << 16).view(np.float32)
    elif dtype.kind == "b":
        values = np.frombuffer(data, np.uint8) != 0  # another byte than 0 and 1 is no boolean
    else:
        values = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    return values.reshape(shape)


def name_of(name: str, array: Array) -> str:
    """The datatype of an output. Raises NotAcceptable where the protocol has none."""
    if array.dtype.kind in "OSU":
        return BYTES
    found = NAMES.get(array.dtype.name)
    if found is None:
        raise NotAcceptable(
            f"Output {name!r} has the type {array.dtype}, for which the protocol has no datatype."
        )
    return found


def to_bytes(name: str, array: Array) -> bytes:
    """An output's values as bytes. Raises NotAcceptable where the protocol has none for them."""
    if name_of(name, array) != BYTES:
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    parts: list[bytes] = []
    for value in array.ravel().tolist():
        element = value.encode(errors="surrogatepass") if isinstance(value, str) else value
        if not isinstance(element, bytes):
            raise NotAcceptable(
                f"Output {name!r} has a {type(value).__name__}, for which the protocol has no "
                "datatype."
            )
        parts += (_LENGTH.pack(len(element)), element)
    return b"".join(parts)


def text(name: str, array: Array) -> Array:
    """An input with its elements of BYTES as text, which is what models take.

    Raises:
        DecodeError: an element is not UTF-8.
    """
    if array.dtype != object:
        return array
    try:
        return _objects([value.decode() for value in array.ravel().tolist()], array.shape)
    except UnicodeDecodeError as error:
        raise DecodeError(f"Input {name!r} has an element that is not UTF-8: {error}.") from error


def _flat(name: str, shape: Sequence[int], data: object) -> list[Any]:
    """The elements of a list that is flat, or nested as the shape has it."""
    values: list[Any] = data if isinstance(data, list) else [data]
    if values and isinstance(values[0], list):
        fits = len(values) == next(iter(shape), -1)
        for length in shape[1:]:
            fits = fits and all(isinstance(row, list) and len(row) == length for row in values)
            values = list(chain.from_iterable(values)) if fits else []
        if not fits:
            raise DecodeError(
                f"The data of input {name!r} are not nested as the shape {list(shape)} has it."
            )
    if len(values) != math.prod(shape):
        raise DecodeError(
            f"Input {name!r} has {len(values)} values; its shape {list(shape)} has "
            f"{math.prod(shape)}."
        )
    return values


def _elements(name: str, count: int, data: bytes) -> list[bytes]:
    elements = []
    position, end = 0, len(data)
    while position + _LENGTH.size <= end:
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size + length
        elements.append(data[position - length : position])
    if position != end or len(elements) != count:
        raise DecodeError(
            f"The {end} bytes of input {name!r} are not the {count} elements of its shape, each "
            "after its length in four bytes."
        )
    return elements


def _objects(values: Sequence[object], shape: Sequence[int]) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def _misfit(name: str, datatype: str, kinds: set[type], words: str) -> DecodeError:
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        float: "a fraction",
        int: "a number",
        type(None): "null",
    }
    found = ", ".join(sorted(names[kind] for kind in kinds))
    return DecodeError(f"Input {name!r} is {datatype}, which takes {words}; its data have {found}.")
