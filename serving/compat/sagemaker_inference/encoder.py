"""Arrays into bodies, as ``sagemaker_inference.encoder`` does."""

from typing import Any

import numpy as np

from serving.codecs import BY_NAME
from serving.media import parse

from .errors import UnsupportedFormatError

_WRITES = ("application/json", "text/csv", "application/x-npy")
SUPPORTED_CONTENT_TYPES = set(_WRITES)


def encode(array_like: Any, content_type: str) -> bytes:
    """A body with the array, or with the nested lists that become one.

    Raises:
        UnsupportedFormatError: the content type is none of JSON, CSV and NPY.
    """
    codec = BY_NAME.get(parse(content_type).essence)
    if codec is None or codec.media_type not in _WRITES:
        raise UnsupportedFormatError(content_type)
    return codec.encode({"output": np.asarray(array_like)})
