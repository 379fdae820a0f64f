"""``application/x-recordio-protobuf``: framed ``aialgs.data.Record`` messages.

A frame is the magic number, the length of the message, both of 32 bits in little-endian order, and
the message, padded to a multiple of four bytes.
"""

import math
import struct
from array import array
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.codecs import record
from serving.codecs.base import MAX_COLUMNS, Codec, Outputs, Sparse, row_count
from serving.codecs.record import Tensor
from serving.errors import DecodeError, NotAcceptable
from serving.media import MediaType

MEDIA_TYPE = "application/x-recordio-protobuf"
MAGIC = 0xCED7230A
FEATURE = "values"
"""Name of the feature that holds a row; other features, and labels, are not read."""
MAX_AXES = 32

_FRAME = struct.Struct("<II")
_LENGTH_BITS = 29  # MXNet has flags for a record in several parts in the bits above.


def decode(body: bytes, media: MediaType) -> NDArray[Any] | Sparse:  # noqa: ARG001
    """Read a row a record, from its feature ``values``.

    A tensor with keys is a sparse row, as is one with a shape and no values. A tensor of several
    axes is flattened.

    Returns:
        If the rows are dense, an array of shape (rows, columns), of float32, float64 or int32 as
        sent. If they are sparse, a table of float32.

    Raises:
        DecodeError: a frame or record is malformed, has no such feature, or is of another kind,
            type or width than the first.
    """
    tensors = _tensors(body)
    first = next(tensors, None)
    if first is None:
        raise DecodeError("The body has no records.")
    rows = chain((first,), tensors)
    return _sparse(rows) if _is_sparse(first) else _dense(rows, first)


def encode(outputs: Outputs) -> bytes:
    """Write a record a row, with a label map from output names to tensors.

    Floats are written as float32 or float64 tensors, as they are, integers and booleans as int32.

    Raises:
        NotAcceptable: the outputs differ in their number of rows, or have values that none of the
            three types holds.
    """
    count = row_count(outputs, MEDIA_TYPE)
    columns = {name: _exact(name, np.atleast_1d(values)) for name, values in outputs.items()}
    frames: list[bytes] = []
    for row in range(count):
        label = {name: _tensor(values[row]) for name, values in columns.items()}
        message = record.write({}, label)
        frames += _FRAME.pack(MAGIC, len(message)), message, bytes(-len(message) % 4)
    return b"".join(frames)


def _messages(body: bytes) -> Iterator[memoryview]:
    view = memoryview(body)
    position = 0
    while position < len(view):
        if len(view) - position < _FRAME.size:
            raise DecodeError("the body ends within its frame")
        magic, length = _FRAME.unpack_from(view, position)
        position += _FRAME.size
        if magic != MAGIC:
            raise DecodeError(f"its frame begins with 0x{magic:08X}, not with 0x{MAGIC:08X}")
        if length >> _LENGTH_BITS:
            raise DecodeError("it is split into several parts, or larger than 512 MiB")
        padded = length + -length % 4
        if padded > len(view) - position:
            raise DecodeError(
                f"its frame declares {length} bytes; {len(view) - position} are there"
            )
        yield view[position : position + length]
        position += padded


def _tensors(body: bytes) -> Iterator[Tensor]:
    number = 1
    try:
        for message in _messages(body):
            tensor = record.read_feature(message, FEATURE)
            _check(tensor)
            yield tensor
            number += 1
    except DecodeError as error:
        raise DecodeError(f"Record {number}: {error}.") from error


def _check(tensor: Tensor) -> None:
    """Refuse a tensor whose parts contradict each other."""
    values, keys, shape = tensor
    if len(shape) > MAX_AXES:
        raise DecodeError(f"it has {len(shape)} axes; at most {MAX_AXES} are allowed")
    if not _is_sparse(tensor):
        if not len(values):
            raise DecodeError("it has no values")
        if shape and math.prod(shape) != len(values):
            raise DecodeError(f"it has {len(values)} values, but the shape {list(shape)}")
        return
    if len(keys) != len(values):
        raise DecodeError(f"it has {len(values)} values, but {len(keys)} keys")
    if len(set(keys)) != len(keys):
        raise DecodeError("it has a key twice")
    if _width(tensor) > MAX_COLUMNS:
        raise DecodeError(f"it has more than {MAX_COLUMNS} columns")
    if shape and max(keys, default=0) >= math.prod(shape):
        raise DecodeError(f"it has the key {max(keys)} beyond its shape {list(shape)}")


def _is_sparse(tensor: Tensor) -> bool:
    values, keys, shape = tensor
    return len(keys) > 0 or (len(values) == 0 and len(shape) > 0 and 0 not in shape)


def _width(tensor: Tensor) -> int:
    return math.prod(tensor.shape) if tensor.shape else max(tensor.keys) + 1


def _dense(rows: Iterator[Tensor], first: Tensor) -> NDArray[Any]:
    dtype, width = first.values.dtype, len(first.values)
    data = bytearray()
    for number, row in enumerate(rows, 1):
        if _is_sparse(row):
            raise DecodeError(f"Record {number}: it is sparse, but record 1 is dense.")
        if row.values.dtype != dtype or len(row.values) != width:
            raise DecodeError(
                f"Record {number}: it has {row.values.dtype} x {len(row.values)}, but record 1 has "
                f"{dtype} x {width}."
            )
        data += row.values.tobytes()
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("=")).reshape(-1, width)


def _sparse(rows: Iterator[Tensor]) -> Sparse:
    indptr, indices, values, columns = array("q", [0]), array("Q"), bytearray(), 0
    for number, row in enumerate(rows, 1):
        if not _is_sparse(row):
            raise DecodeError(f"Record {number}: it is dense, but record 1 is sparse.")
        indices.extend(row.keys)
        with np.errstate(over="ignore"):
            values += row.values.astype(np.float32).tobytes()
        indptr.append(len(indices))
        columns = max(columns, _width(row))
    return Sparse(
        np.array(indptr, np.int64),
        np.array(indices, np.int64),
        np.frombuffer(values, np.float32),
        columns,
    )


def _exact(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """``values`` in a type that a tensor has and that holds them exactly."""
    kind = values.dtype.kind
    if kind == "f":
        return values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64)
    limits = np.iinfo(np.int32)
    if kind == "b" or (
        kind in "iu" and limits.min <= values.min(initial=0) and values.max(initial=0) <= limits.max
    ):
        return values.astype(np.int32)
    raise NotAcceptable(
        f"Output {name!r} has values of type {values.dtype} that no tensor of {MEDIA_TYPE} holds; "
        "application/json may."
    )


def _tensor(row: NDArray[Any]) -> Tensor:
    """A row as a tensor, with a shape where it has several axes."""
    shape = array("Q", row.shape if row.ndim > 1 else ())
    return Tensor(np.ravel(row), array("Q"), shape)


CODEC = Codec(MEDIA_TYPE, ("recordio-protobuf",), decode, encode)
