"""The protobuf message ``aialgs.data.Record``, SageMaker's row of a training set or an answer.

::

    message Record {
        map<string, Value> features = 1;
        map<string, Value> label = 2;
        optional string uid = 3;               // not read
        optional string metadata = 4;          // not read
        optional string configuration = 5;     // not read
    }
    message Value {
        oneof value {
            Float32Tensor float32_tensor = 2;
            Float64Tensor float64_tensor = 3;
            Int32Tensor int32_tensor = 7;
            Bytes bytes = 9;                   // refused
        }
    }
    message Float32Tensor {                    // the others alike
        repeated float values = 1 [packed = true];
        repeated uint64 keys = 2 [packed = true];
        repeated uint64 shape = 3 [packed = true];
    }

Fields are read as protobuf's encoding guide has it: packed or not, in any order, the last of a
oneof winning, messages that come in pieces merged, unknown fields skipped.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.errors import DecodeError

_FEATURES, _LABEL = 1, 2
_NAME, _VALUE = 1, 2
_VALUES, _KEYS, _SHAPE = 1, 2, 3
_BYTES = 9
_TENSORS: dict[int, np.dtype[Any]] = {
    2: np.dtype("<f4"),
    3: np.dtype("<f8"),
    7: np.dtype("<i4"),
}
"""Element types by their field in Value."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_64_BITS = 2**64 - 1


class Tensor(NamedTuple):
    """One value of a record's map."""

    values: NDArray[Any]
    """One axis, of float32, float64 or int32."""
    keys: Sequence[int]
    """Positions of the values in a sparse tensor; empty for a dense one."""
    shape: Sequence[int]
    """Length of each axis; may be empty for a dense vector."""


def read_feature(data: memoryview, name: str) -> Tensor:
    """The feature ``name`` of a serialised record.

    Raises:
        DecodeError: ``data`` is no record, or has no such feature, or that is no tensor.
    """
    feature = None
    others = []
    for number, wire, entry in _fields(data):
        if (number, wire) == (_FEATURES, _LENGTH):
            key, value = _entry(entry)
            if key == name:
                feature = value
            else:
                others.append(key)
    if feature is None:
        found = f"its features are {', '.join(map(repr, others[:5]))}" if others else "it has none"
        raise DecodeError(f"it has no feature {name!r}; {found}")
    return _tensor(feature)


def write(features: Mapping[str, Tensor], label: Mapping[str, Tensor]) -> bytes:
    """Serialise a record."""
    return b"".join(
        _field(field, _field(_NAME, name.encode()) + _field(_VALUE, _value(tensor)))
        for field, tensors in ((_FEATURES, features), (_LABEL, label))
        for name, tensor in tensors.items()
    )


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Number, wire type and encoded value of each field of a message.

    A value is what a packed field would hold of it: of a varint or a fixed number its bytes.
    """
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        start = position
        if wire == _VARINT:
            _, position = _varint(data, position)
        elif wire == _LENGTH:
            length, start = _varint(data, position)
            position = start + length
        elif wire in _SIZES:
            position += _SIZES[wire]
        else:
            raise DecodeError(f"it has a field of wire type {wire}, which records do not use")
        if number == 0 or position > len(data):
            raise DecodeError("it is no protobuf message, or is cut off")
        yield number, wire, data[start:position]


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """The number at ``position``, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _64_BITS, position
    raise DecodeError("it is no protobuf message, or is cut off")


def _varints(data: bytearray) -> Sequence[int]:
    numbers = array("Q")
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            numbers.append(value & _64_BITS)
            value = shift = 0
        else:
            shift += 7
            if shift == 70:
                raise DecodeError("it has a number of more than 64 bits")
    return numbers


def _entry(data: memoryview) -> tuple[str, bytearray]:
    """Name and value of a map's entry."""
    name, value = "", bytearray()
    for number, wire, content in _fields(data):
        if (number, wire) == (_NAME, _LENGTH):
            name = bytes(content).decode(errors="replace")
        elif (number, wire) == (_VALUE, _LENGTH):
            value += content
    return name, value


def _tensor(value: bytearray) -> Tensor:
    """The tensor in a message of type Value."""
    field, message = min(_TENSORS), bytearray()
    for number, wire, content in _fields(memoryview(value)):
        if wire == _LENGTH and (number in _TENSORS or number == _BYTES):
            if number != field:
                field, message = number, bytearray()
            message += content
    if field == _BYTES:
        raise DecodeError("its feature holds bytes; tensors of numbers are read")
    dtype = _TENSORS[field]
    wire = {"f4": _FIXED32, "f8": _FIXED64, "i4": _VARINT}[dtype.str[1:]]
    parts = _packed(memoryview(message), {_VALUES: wire, _KEYS: _VARINT, _SHAPE: _VARINT})
    if wire == _VARINT:
        # Negative numbers are sent as 64 bits; the lower 32 are the number.
        numbers = np.array(_varints(parts[_VALUES]), np.uint64)
        values = numbers.astype(np.uint32).view(np.int32)
    else:
        values = np.frombuffer(parts[_VALUES], dtype)
    return Tensor(values, _varints(parts[_KEYS]), _varints(parts[_SHAPE]))


def _packed(data: memoryview, wires: dict[int, int]) -> dict[int, bytearray]:
    """Repeated fields in packed form, whether they are sent so or one number at a time."""
    parts = {field: bytearray() for field in wires}
    for field, wire, content in _fields(data):
        if field in wires and wire in (wires[field], _LENGTH):
            size = _SIZES.get(wires[field])
            cut = len(content) % size if size else bytes(content[-1:]) >= b"\x80"
            if cut:
                raise DecodeError("its tensor ends within a number")
            parts[field] += content
    return parts


def _field(number: int, content: bytes) -> bytes:
    return _number(number << 3 | _LENGTH) + _number(len(content)) + content


def _number(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _numbers(values: Sequence[int]) -> bytes:
    return b"".join(_number(value & _64_BITS) for value in values)


def _value(tensor: Tensor) -> bytes:
    dtype = tensor.values.dtype.newbyteorder("<")
    (field,) = (number for number, known in _TENSORS.items() if known == dtype)
    if dtype.kind == "f":
        message = _field(_VALUES, tensor.values.astype(dtype).tobytes())
    else:
        message = _field(_VALUES, _numbers(tensor.values.tolist()))
    if tensor.keys:
        message += _field(_KEYS, _numbers(tensor.keys))
    if tensor.shape:
        message += _field(_SHAPE, _numbers(tensor.shape))
    return _field(field, message)
