"""Arrays into bodies, as ``sagemaker_inference.encoder`` does."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.codecs import csv, json, npy
from serving.media import parse

from . import content_types
from .errors import NOT_ACCEPTABLE, UnsupportedFormatError

SUPPORTED_CONTENT_TYPES = {content_types.JSON, content_types.CSV, content_types.NPY}


def encode(array_like: Any, content_type: str) -> str | bytes:
    """A body with the array, or with what becomes one: text in JSON and CSV, bytes in NPY.

    NaN is null in JSON, where the toolkit writes what no parser takes.

    Raises:
        UnsupportedFormatError: the content type is none of these.
    """
    essence = parse(content_type).essence
    value = _plain(array_like)
    if essence == content_types.JSON:
        return json.dumps(value).decode()
    if essence == content_types.CSV:
        return csv.encode({"output": np.asarray(value)}).decode()
    if essence == content_types.NPY:
        return npy.encode({"output": np.asarray(value)})
    raise UnsupportedFormatError(content_type, NOT_ACCEPTABLE)


def _plain(value: Any) -> Any:
    """The value with lists in place of tensors, data frames and the like."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return value
    return value.tolist() if hasattr(value, "tolist") else value
