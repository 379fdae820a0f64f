"""``application/jsonlines``: one JSON value a line."""

import io
from typing import Any

import numpy as np
import orjson

from serving.codecs.base import Codec, Outputs, row_count
from serving.codecs.json import dumps
from serving.codecs.text import to_utf8
from serving.errors import DecodeError
from serving.media import MediaType

MEDIA_TYPE = "application/jsonlines"


def decode(body: bytes, media: MediaType) -> list[Any]:
    """Parse every line that is not blank.

    Raises:
        DecodeError: a line is not JSON, or none is there.
    """
    values = []
    for number, line in enumerate(io.BytesIO(to_utf8(body, media)), 1):
        if not line.isspace():
            try:
                values.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise DecodeError(f"Line {number} is not JSON: {error}.") from error
    if not values:
        raise DecodeError("The body has no lines.")
    return values


def encode(outputs: Outputs) -> bytes:
    """Write a line for each row: the value of one output, or an object of several by name.

    Values are written as in ``application/json``.

    Raises:
        NotAcceptable: the outputs differ in their number of rows, or a value has no form in JSON.
    """
    row_count(outputs, MEDIA_TYPE)
    columns = [np.atleast_1d(values).tolist() for values in outputs.values()]
    if len(columns) == 1:
        return b"".join(dumps(row) + b"\n" for row in columns[0])
    return b"".join(
        dumps(dict(zip(outputs, row, strict=True))) + b"\n" for row in zip(*columns, strict=True)
    )


CODEC = Codec(
    MEDIA_TYPE,
    ("application/jsonl", "application/x-jsonlines", "application/x-ndjson", "application/ndjson"),
    decode,
    encode,
)
