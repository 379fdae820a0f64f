"""SciPy's sparse matrices, of the arrays that its ``sparse.save_npz`` writes.

Each has its ``format``, its ``shape`` and its values, ``data``; what else depends on the format:

======== ==================== ================================================================
csr, csc ``indices indptr``   row ``i``, or column ``i`` of csc, has the values from
                              ``indptr[i]`` to ``indptr[i + 1]``, in the places ``indices``
bsr      ``indices indptr``   so it has blocks of values, all of one shape
coo      ``row col``          a place for each value; or both in one array, ``coords``
dia      ``offsets``          diagonals, the values of each at their columns
======== ==================== ================================================================
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.codecs.base import MAX_COLUMNS, Sparse
from serving.errors import DecodeError, PayloadTooLarge

MAX_ENTRIES = 2**25
"""Most entries of a matrix; each takes some 30 bytes while they are put in order."""

FREE_ROWS = 2**16
"""Most rows of a matrix that its arrays may say nothing about. Where there are more, each has to
have eight bytes: else a few bytes could ask for any number of predictions."""

Parts = Mapping[str, NDArray[Any]]
Indices = NDArray[np.int64]
Entries = tuple[Indices, Indices, NDArray[Any]]
"""Rows, columns and values."""


def is_one(parts: Parts) -> bool:
    """Whether these are the parts of a matrix, and not just some arrays."""
    return parts.keys() >= {"format", "shape", "data"}


def table(parts: Parts) -> Sparse:
    """The matrix as a table, its entries in order; those for the same cell are added up.

    Raises:
        DecodeError: the parts do not make a matrix of numbers.
        PayloadTooLarge: it has too many entries, or too many rows without any.
    """
    rows, columns = _shape(parts["shape"])
    layout = _layout(parts["format"])
    values = parts["data"]
    if values.dtype.kind not in "biuf":
        raise DecodeError(f"The matrix has values of type {values.dtype}, which are no numbers.")
    size = sum(part.nbytes for part in parts.values())
    if values.size > MAX_ENTRIES or rows > max(FREE_ROWS, size // 8):
        raise PayloadTooLarge(
            f"The matrix has {rows} rows and {values.size} entries. It may have {MAX_ENTRIES} "
            f"entries, and more than {FREE_ROWS} rows only with entries in them; send fewer."
        )
    try:
        row, column, values = _LAYOUTS[layout](parts, rows, columns)
    except KeyError as error:
        raise DecodeError(f"The matrix in {layout} format lacks its array {error}.") from error
    cell = row * columns + column
    if not (cell[1:] > cell[:-1]).all():
        cell, values = _in_order(cell, values)
        row, column = np.divmod(cell, columns)
    indptr = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=rows), out=indptr[1:])
    return Sparse(indptr, column, values, columns)


def _shape(shape: NDArray[Any]) -> tuple[int, int]:
    lengths = shape.tolist() if shape.shape == (2,) and shape.dtype.kind in "iu" else [0, 0]
    if min(lengths) < 1 or lengths[1] > MAX_COLUMNS:
        raise DecodeError(
            f"The matrix has the shape {str(shape)[:60]}; it takes at least one row, and "
            f"from 1 to {MAX_COLUMNS} columns."
        )
    return lengths[0], lengths[1]


def _layout(stored: NDArray[Any]) -> str:
    texts = stored.ravel()[:1].tolist()
    layout = texts[0].decode("latin-1") if texts and isinstance(texts[0], bytes) else str(*texts)
    if layout not in _LAYOUTS:
        raise DecodeError(
            f"The matrix is in {layout[:20]!r} format; {', '.join(_LAYOUTS)} can be read."
        )
    return layout


def _csr(parts: Parts, rows: int, columns: int) -> Entries:
    return _compressed(parts, rows, columns)


def _csc(parts: Parts, rows: int, columns: int) -> Entries:
    column, row, values = _compressed(parts, columns, rows)
    return row, column, values


def _bsr(parts: Parts, rows: int, columns: int) -> Entries:
    blocks = parts["data"]
    high, wide = blocks.shape[1:] if blocks.ndim == 3 else (0, 0)
    if not (high and wide) or rows % high or columns % wide:
        raise DecodeError(
            f"The matrix has blocks of shape {blocks.shape[1:]}, of which {rows} rows and "
            f"{columns} columns cannot be made."
        )
    row, column, blocks = _compressed(parts, rows // high, columns // wide, axes=3)
    down, across = np.indices((high, wide))
    row = row[:, np.newaxis, np.newaxis] * high + down
    column = column[:, np.newaxis, np.newaxis] * wide + across
    return row.ravel(), column.ravel(), blocks.ravel()


def _coo(parts: Parts, rows: int, columns: int) -> Entries:
    if "coords" in parts and parts["coords"].shape[:1] == (2,):
        parts = {**parts, "row": parts["coords"][0], "col": parts["coords"][1]}
    values = parts["data"]
    row, column = _indices(parts, "row", rows), _indices(parts, "col", columns)
    if not row.shape == column.shape == values.shape:
        raise DecodeError("The matrix's row, col and data differ in their lengths.")
    return row, column, values


def _dia(parts: Parts, rows: int, columns: int) -> Entries:
    values, offsets = parts["data"], parts["offsets"]
    if values.ndim != 2 or offsets.shape != values.shape[:1] or offsets.dtype.kind not in "iu":
        raise DecodeError("The matrix does not have one of its offsets for each diagonal of data.")
    values = values[:, :columns]
    column = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    row = column - offsets.astype(np.int64).clip(-rows, columns)[:, np.newaxis]
    # A diagonal has a zero where it has nothing.
    there = (row >= 0) & (row < rows) & (values != 0)
    return row[there], column[there], values[there]


_LAYOUTS = {"csr": _csr, "csc": _csc, "bsr": _bsr, "coo": _coo, "dia": _dia}


def _compressed(parts: Parts, lines: int, places: int, axes: int = 1) -> Entries:
    """Lines, places in them, and values, of lines that run either way."""
    values, ends, place = parts["data"], parts["indptr"], _indices(parts, "indices", places)
    sound = (
        values.shape[:1] == place.shape
        and values.ndim == axes
        and ends.shape == (lines + 1,)
        and ends.dtype.kind in "iu"
        and ends[0] == 0
        and (ends[1:] >= ends[:-1]).all()
        and ends[-1] <= len(values)
    )
    if not sound:
        raise DecodeError(
            f"The matrix's indptr does not divide its {len(place)} indices and as much data into "
            f"{lines} parts."
        )
    ends = ends.astype(np.int64)
    line = np.repeat(np.arange(lines), ends[1:] - ends[:-1])
    return line, place[: len(line)], values[: len(line)]


def _indices(parts: Parts, name: str, bound: int) -> Indices:
    indices = parts[name]
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise DecodeError(f"The matrix's array {name!r} is no list of whole numbers.")
    if ((indices < 0) | (indices >= bound)).any():
        raise DecodeError(f"The matrix's array {name!r} has others than 0 to {bound - 1}.")
    return indices.astype(np.int64)


def _in_order(cell: Indices, values: NDArray[Any]) -> tuple[Indices, NDArray[Any]]:
    """The cells in their order, each once, with the sum of its values."""
    order = np.argsort(cell, kind="stable")
    cell, values = cell[order], values[order]
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    with np.errstate(over="ignore", invalid="ignore"):
        return cell[first], np.add.reduceat(values, first, dtype=values.dtype)
