"""What a codec is, and the values codecs exchange with engines."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from serving.errors import NotAcceptable, PayloadTooLarge
from serving.media import MediaType

Outputs = Mapping[str, NDArray[Any]]
"""Named arrays, the first axis of each being the rows."""


MAX_COLUMNS = 2**31 - 1
"""Most columns a sparse table may have: XGBoost counts them in 31 bits."""

MAX_DENSE = 512 * 1024 * 1024
"""Largest table made of a sparse one, in bytes."""


class Sparse(NamedTuple):
    """A table in compressed sparse rows, as ``scipy.sparse.csr_matrix`` lays it out.

    Row ``i`` has the values ``values[indptr[i]:indptr[i + 1]]`` in the columns
    ``indices[indptr[i]:indptr[i + 1]]``; other cells are absent. No dense array is ever made from
    a width that a client declared: an engine checks ``columns`` against its model first.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    values: NDArray[Any]
    columns: int
    """Highest column index + 1, or the width that the client declared, if that is larger."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    def dense(self, width: int, absent: float, dtype: DTypeLike) -> NDArray[Any]:
        """The table of so many columns, at least ``columns``, with ``absent`` in the other cells.

        Raises:
            PayloadTooLarge: it would take more than MAX_DENSE bytes.
        """
        if self.rows * width * max(4, np.dtype(dtype).itemsize) > MAX_DENSE:
            raise PayloadTooLarge(
                f"{self.rows} sparse rows of {width} columns need more than {MAX_DENSE >> 20} MiB; "
                f"send fewer rows."
            )
        table = np.full((self.rows, width), absent, dtype)
        with np.errstate(over="ignore"):
            table[np.repeat(np.arange(self.rows), np.diff(self.indptr)), self.indices] = self.values
        return table


class Codec(NamedTuple):
    """How one media type is read and written."""

    media_type: str
    """Canonical name, for example ``text/csv``."""
    aliases: tuple[str, ...]
    """Other names clients use for the same format."""
    decode: Callable[[bytes, MediaType], Any]
    """Body and parsed Content-Type to an array, a Sparse table or parsed JSON.

    Raises DecodeError for anything the format does not allow.
    """
    encode: Callable[[Outputs], bytes]
    """Outputs to a body. Raises NotAcceptable where the format cannot carry them."""


def row_count(outputs: Outputs, media_type: str) -> int:
    """Number of rows, which must be that of every output; an array without axes is one row.

    Raises:
        NotAcceptable: the outputs differ, so ``media_type`` cannot write them row by row.
    """
    counts = {name: len(values) if values.ndim else 1 for name, values in outputs.items()}
    if len(set(counts.values())) > 1:
        raise NotAcceptable(
            f"{media_type} writes outputs row by row, but they differ in their number of rows: "
            f"{', '.join(f'{name} has {count}' for name, count in counts.items())}. "
            "application/json can carry them."
        )
    return next(iter(counts.values()), 0)
