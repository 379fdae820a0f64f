"""``text/libsvm``: sparse rows, ``label index:value index:value``. For requests only."""

import io
from array import array

import numpy as np

from serving.codecs.base import MAX_COLUMNS, Codec, Outputs, Sparse
from serving.codecs.text import to_float, to_text
from serving.errors import DecodeError, NotAcceptable
from serving.media import MediaType

MEDIA_TYPE = "text/libsvm"
MAX_INDEX = MAX_COLUMNS - 1


def decode(body: bytes, media: MediaType) -> Sparse:
    """Read a row a line; labels, ``qid:1``, ``# comments`` and blank lines are dropped.

    Indices count from 1, or from 0 if any in the body is 0; in the table they count from 0. They
    stay in the order of the body. A value too large for a float32 is infinity.

    Raises:
        DecodeError: an item is not ``index:value``, an index is negative, above MAX_INDEX or
            twice in a row, or there are no rows.
    """
    indptr, indices, values = array("q", [0]), array("q"), array("d")
    for number, line in enumerate(io.StringIO(to_text(body, media)), 1):
        items = line.partition("#")[0].split()
        for position, item in enumerate(items):
            try:
                if position == 0 and ":" not in item:
                    to_float(item)
                elif not item.startswith("qid:"):
                    index, value = _parse(item)
                    indices.append(index)
                    values.append(value)
            except ValueError as error:
                raise DecodeError(
                    f"Line {number}: {item[:40]!r} is not index:value with an index from 0 to "
                    f"{MAX_INDEX} and a number as value."
                ) from error
        if items:
            row = indices[indptr[-1] :]
            if len(set(row)) < len(row):
                raise DecodeError(f"Line {number} has an index twice.")
            indptr.append(len(indices))
    if len(indptr) == 1:
        raise DecodeError("The body has no rows.")
    first = 1 if min(indices, default=0) >= 1 else 0
    with np.errstate(over="ignore"):
        return Sparse(
            np.array(indptr, np.int64),
            np.array(indices, np.int64) - first,
            np.array(values, np.float32),
            max(indices, default=first - 1) - first + 1,
        )


def encode(outputs: Outputs) -> bytes:
    """Refuse: predictions have no form in libsvm.

    Raises:
        NotAcceptable: always.
    """
    raise NotAcceptable(
        f"{MEDIA_TYPE} is a format of requests only; text/csv and application/json can carry "
        f"{', '.join(outputs)}."
    )


def _parse(item: str) -> tuple[int, float]:
    index, _, value = item.partition(":")
    # Ten digits hold every index allowed; int() takes time on thousands.
    if not (index.isascii() and index.isdigit()) or len(index) > 10 or int(index) > MAX_INDEX:
        raise ValueError
    return int(index), to_float(value)


CODEC = Codec(MEDIA_TYPE, ("text/x-libsvm", "libsvm"), decode, encode)
