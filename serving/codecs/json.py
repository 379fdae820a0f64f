"""``application/json``, and the JSON reader and writer of the other codecs."""

from typing import Any

import numpy as np
import orjson

from serving.codecs.base import Codec, Outputs
from serving.codecs.text import to_utf8
from serving.errors import DecodeError, NotAcceptable
from serving.media import MediaType

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def decode(body: bytes, media: MediaType) -> Any:
    """Parse a body. UTF-8, unless the ``charset`` parameter says otherwise (RFC 8259, 8.1).

    Raises:
        DecodeError: the body is not JSON; ``NaN`` and ``Infinity`` are not, nor is what is nested
            more than 1,024 deep.
    """
    try:
        return orjson.loads(to_utf8(body, media))
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"The body is not JSON: {error}.") from error


def encode(outputs: Outputs) -> bytes:
    """Write one output as its nested list, several as an object of them by name.

    Raises:
        NotAcceptable: an output has values that JSON has no form for.
    """
    if len(outputs) == 1:
        return dumps(next(iter(outputs.values())))
    return dumps(dict(outputs))


def dumps(value: Any) -> bytes:
    """Write arrays, NumPy's scalars, and what the standard library's ``json`` writes.

    NaN and infinities become ``null``. A float32 is written with the digits of the double of the
    same value, as ``tolist`` gives it: that is what clients of SageMaker's toolkits receive.

    Raises:
        NotAcceptable: ``value`` holds something JSON has no form for.
    """
    try:
        return orjson.dumps(_widen(value), _plain, _OPTIONS)
    except TypeError as error:
        reason = error.__cause__ or error
        raise NotAcceptable(f"The answer cannot be written as JSON: {reason}.") from error


def _widen(value: Any) -> Any:
    """``value`` with its arrays, or those in a dictionary, as the writer takes them."""
    if isinstance(value, dict):
        return {key: _widen(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.char in "fe":
            return value.astype(np.float64)
        if not value.dtype.isnative:
            return value.astype(value.dtype.newbyteorder("="))
    return value


def _plain(value: object) -> Any:
    """Python's own type for what the writer does not know."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise TypeError("bytes that are not UTF-8 text have no form in JSON") from error
    raise TypeError(f"{type(value).__name__} has no form in JSON")


CODEC = Codec("application/json", (), decode, encode)
