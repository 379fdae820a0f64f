"""Bodies into XGBoost's matrices, as ``sagemaker_xgboost_container.encoder`` does."""

import json
from typing import Any

import numpy as np
import xgboost

from serving.codecs import Sparse, csv, find, libsvm, recordio
from serving.media import MediaType, parse

READS = (csv.MEDIA_TYPE, libsvm.MEDIA_TYPE, recordio.MEDIA_TYPE)


def decode(obj: str | bytes, content_type: str) -> xgboost.DMatrix:
    """The rows in a body.

    Raises:
        UnsupportedMediaType: the content type is none of CSV, libsvm and recordio-protobuf.
        DecodeError: the body is not what its type says.
    """
    media = parse(content_type)
    return _matrix(find(media, READS).decode(_bytes(obj), media))


def csv_to_dmatrix(input: str | bytes, dtype: Any = None) -> xgboost.DMatrix:  # noqa: A002
    """The rows in CSV. Raises DecodeError."""
    media = MediaType(csv.MEDIA_TYPE)
    return _matrix(csv.decode(_bytes(input), media, np.dtype(dtype or np.float32)))


def libsvm_to_dmatrix(string_like: str | bytes) -> xgboost.DMatrix:
    """The rows in libsvm's format. Raises DecodeError."""
    return decode(string_like, libsvm.MEDIA_TYPE)


def recordio_protobuf_to_dmatrix(string_like: bytes) -> xgboost.DMatrix:
    """The rows in recordio-protobuf. Raises DecodeError."""
    return decode(string_like, recordio.MEDIA_TYPE)


def json_to_jsonlines(json_data: str | dict[str, Any]) -> bytes:
    """A line for each item of the one list in a JSON object."""
    data = json_data if isinstance(json_data, dict) else json.loads(json_data)
    if len(data) != 1:
        raise ValueError(f"An object with one list becomes lines; this has {', '.join(data)}.")
    (items,) = data.values()
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def _matrix(table: Any) -> xgboost.DMatrix:
    if isinstance(table, Sparse):  # absent cells are missing values, not zeros
        table = table.dense(table.columns, np.nan, np.float32)
    return xgboost.DMatrix(table)


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)
