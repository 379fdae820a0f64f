"""Bodies into arrays, as ``sagemaker_inference.decoder`` does, without its pickles."""

from typing import Any

import numpy as np

from serving import media
from serving.codecs import BY_NAME

from .errors import UnsupportedFormatError

_READS = ("application/json", "text/csv", "application/x-npy")


def decode(obj: str | bytes, content_type: str) -> Any:
    """The array in a body.

    Raises:
        UnsupportedFormatError: the content type is none of JSON, CSV and NPY.
    """
    parsed = media.parse(content_type)
    codec = BY_NAME.get(parsed.essence)
    if codec is None or codec.media_type not in _READS:
        raise UnsupportedFormatError(content_type)
    body = obj.encode() if isinstance(obj, str) else bytes(obj)
    return np.asarray(codec.decode(body, parsed))
