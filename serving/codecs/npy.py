"""``application/x-npy``: one array as NumPy's ``save`` writes it (NEP 1).

The header is read here, by its grammar: NumPy's own reader evaluates it as Python, and allocates
what it declares.
"""

import io
import math
import re
import sys
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from serving.codecs.base import Codec, Outputs
from serving.errors import DecodeError, NotAcceptable
from serving.media import MediaType

MEDIA_TYPE = "application/x-npy"
MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
"""Longest header, in bytes; NumPy's own limit is the same."""
MAX_AXES = 32

_LENGTH = re.compile(r"\d+", re.ASCII)
_ENTRY = re.compile(
    r"""\s*(?:
        ['"]descr['"]\s*:\s*['"](?P<descr>[<>|=]?[biufcSU]\d{1,9})['"]
      | ['"]fortran_order['"]\s*:\s*(?P<fortran_order>True|False)
      | ['"]shape['"]\s*:\s*(?P<shape>\(\s*(?:(?:\d{1,19}L?\s*,\s*)+(?:\d{1,19}L?\s*)?)?\))
    )\s*(?:,|$)""",
    re.VERBOSE | re.ASCII,
)


def decode(body: bytes, media: MediaType) -> NDArray[Any]:  # noqa: ARG001
    """Read an array of booleans, numbers or fixed-width text, in format version 1, 2 or 3.

    Returns:
        An array of the shape sent, in C order and this machine's byte order. It is a copy, so that
        it is aligned and can be written to, which libraries behind it may rely on.

    Raises:
        DecodeError: as ``read`` does, and where there is no value.
    """
    values = read(body)
    if not values.size:
        raise DecodeError(f"The array of shape {values.shape} has no values.")
    return values


def read(body: bytes) -> NDArray[Any]:
    """The array that ``decode`` reads, which may also be an empty one.

    Raises:
        DecodeError: the header is malformed, declares objects or records, or another size than
            the body has.
    """
    header, start = _header(body)
    dtype, order, shape = _parse(header)
    declared = math.prod(shape) * dtype.itemsize
    if declared != len(body) - start:
        raise DecodeError(
            f"The header declares {declared} bytes of data ({dtype}, shape {shape}); the body has "
            f"{len(body) - start}."
        )
    if not declared:
        return _empty(shape, dtype)
    values = np.frombuffer(body, dtype, offset=start).reshape(shape, order=order)
    values = values.astype(dtype.newbyteorder("="), order="C")
    if dtype.kind == "U":
        _check_text(values)
    return values


def encode(outputs: Outputs) -> bytes:
    """Write the one output; text in arrays of objects becomes text of fixed width.

    Raises:
        NotAcceptable: there are several outputs, or one of other objects than text.
    """
    if len(outputs) != 1:
        raise NotAcceptable(
            f"{MEDIA_TYPE} carries one array, but the model has the outputs {', '.join(outputs)}; "
            "application/json, application/jsonlines, text/csv and application/x-recordio-protobuf "
            "carry several."
        )
    ((name, values),) = outputs.items()
    if values.dtype.hasobject:
        if not all(isinstance(value, str) for value in values.flat):
            raise NotAcceptable(
                f"Output {name!r} has objects that are not text, which {MEDIA_TYPE} cannot carry; "
                "application/json may."
            )
        values = values.astype(np.str_)
    return _written_header(values.dtype, values.shape) + values.tobytes()


def _header(body: bytes) -> tuple[str, int]:
    """The header's text, and where the data begin."""
    if not body.startswith(MAGIC):
        raise DecodeError(f"The body is not in the npy format: it does not begin with {MAGIC!r}.")
    version = body[6:8]
    if version not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise DecodeError(f"Version {version.hex('.')} of the npy format is not 1.0, 2.0 or 3.0.")
    start = 10 if version == b"\x01\x00" else 12
    length = int.from_bytes(body[8:start], "little")
    if length > MAX_HEADER:
        raise DecodeError(f"The header has {length} bytes; at most {MAX_HEADER} are allowed.")
    if start + length > len(body):
        raise DecodeError(f"The body ends within its header of {length} bytes.")
    encoding = "utf-8" if version == b"\x03\x00" else "latin-1"
    return body[start : start + length].decode(encoding, "replace"), start + length


@lru_cache(64)  # a client's headers are few, and reading one takes longer than all else here
def _parse(header: str) -> tuple[np.dtype[Any], Literal["C", "F"], tuple[int, ...]]:
    """Element type, order and shape from a header such as NumPy writes.

    ``{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }``
    """
    text = header.strip()
    entries = text[1:-1].rstrip()
    fields: dict[str, str] = {}
    position = 0
    while match := _ENTRY.match(entries, position):
        fields |= {name: value for name, value in match.groupdict().items() if value is not None}
        position = match.end()
    if text[:1] + text[-1:] != "{}" or position < len(entries) or len(fields) != 3:
        raise DecodeError(
            "The header is not that of an array of booleans, numbers or text of fixed width: "
            f"{text[:200]!r}."
        )
    try:
        dtype = np.dtype(fields["descr"])
    except (TypeError, ValueError) as error:
        raise DecodeError(f"The header's descr {fields['descr']!r} is no element type.") from error
    shape = tuple(int(length) for length in _LENGTH.findall(fields["shape"]))
    if len(shape) > MAX_AXES:
        raise DecodeError(f"The array has {len(shape)} axes; at most {MAX_AXES} are allowed.")
    return dtype, "F" if fields["fortran_order"] == "True" else "C", shape


@lru_cache(256)
def _written_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    described = {"descr": dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    if 0 in shape:  # else its elements have no bytes, and NumPy would give them some
        try:
            return np.empty(shape, dtype.newbyteorder("="))
        except ValueError as error:  # the other lengths are larger than any array's
            raise DecodeError(f"The array of shape {shape} has no values: {error}.") from error
    raise DecodeError(f"The array of shape {shape} has no values.")


def _check_text(values: NDArray[np.str_]) -> None:
    """Refuse code points that Python, or an encoding, would fail on later."""
    points = values.reshape(-1).view(np.uint32)
    if (points > sys.maxunicode).any() or ((points >= 0xD800) & (points <= 0xDFFF)).any():
        raise DecodeError("The array's text has code points that Unicode does not have.")


CODEC = Codec(MEDIA_TYPE, ("application/npy",), decode, encode)
