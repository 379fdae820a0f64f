"""Bodies into arrays, as ``sagemaker_inference.decoder`` does, without its pickles."""

import io
from typing import Any

import numpy as np

from serving.codecs import json, npy, npz
from serving.codecs.text import to_text
from serving.errors import DecodeError
from serving.media import MediaType, parse

from . import content_types
from .errors import UnsupportedFormatError


def decode(obj: str | bytes, content_type: str) -> Any:
    """The array in a body; of npz, the sparse matrix.

    Raises:
        UnsupportedFormatError: the content type is none of JSON, CSV, NPY and NPZ.
        DecodeError: the body is not what its type says.
    """
    media = parse(content_type)
    if media.essence not in _DECODERS:
        raise UnsupportedFormatError(content_type)
    body = obj.encode() if isinstance(obj, str) else bytes(obj)
    try:
        return _DECODERS[media.essence](body, media)
    except ValueError as error:  # NumPy's, for rows of several lengths
        raise DecodeError(f"The body is no array: {error}.") from error


def _json(body: bytes, media: MediaType) -> Any:
    return np.array(json.decode(body, media))


def _csv(body: bytes, media: MediaType) -> Any:
    """A table, or, as scripts for the toolkit expect, one axis where it has one row or column.

    Columns of several types become one that holds all, where the toolkit makes records of the rows.
    """
    text = to_text(body, media)
    table = np.genfromtxt(io.StringIO(text), dtype=None, delimiter=",")
    if table.dtype.names:
        numbers = all(table.dtype[name].kind in "biuf" for name in table.dtype.names)
        table = np.genfromtxt(io.StringIO(text), dtype=float if numbers else str, delimiter=",")
    return table


_DECODERS = {
    content_types.JSON: _json,
    content_types.CSV: _csv,
    content_types.NPY: npy.decode,
    content_types.NPZ: npz.decode_for_script,
}
