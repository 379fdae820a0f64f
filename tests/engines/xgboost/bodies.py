"""Rows as bodies of every format that the XGBoost engine reads."""

import io
import json
import struct
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.codecs import record
from serving.codecs.record import Tensor

Rows = NDArray[np.float32]

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
LIBSVM, NPY, NPZ = "text/libsvm", "application/x-npy", "application/x-npz"
RECORDIO = "application/x-recordio-protobuf"


def as_csv(rows: Rows) -> str:
    cells = [["" if np.isnan(cell) else repr(float(cell)) for cell in row] for row in rows]
    return "\n".join(",".join(row) for row in cells)


def as_libsvm(rows: Rows) -> str:
    """Rows whose missing cells are left out, with indices from 1."""
    lines = []
    for row in rows:
        items = [f"{i}:{cell!r}" for i, cell in enumerate(row.tolist(), 1) if not np.isnan(cell)]
        lines.append(" ".join(["0", *items]))
    return "\n".join(lines)


def as_json(rows: Rows) -> bytes:
    table = [[None if np.isnan(cell) else cell for cell in row] for row in rows.tolist()]
    return json.dumps({"instances": table}).encode()


def as_jsonlines(rows: Rows) -> bytes:
    table = [[None if np.isnan(cell) else cell for cell in row] for row in rows.tolist()]
    return b"".join(json.dumps({"features": row}).encode() + b"\n" for row in table)


def as_npy(rows: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


def as_npz(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, rows)
    return buffer.getvalue()


def as_sparse_npz(rows: Rows) -> bytes:
    """Rows whose missing cells are left out, and whose zeros are not, as SciPy saves them."""
    row, column = np.nonzero(~np.isnan(rows))
    place = {"format": np.array(b"coo"), "shape": np.array(rows.shape), "row": row, "col": column}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, data=rows[row, column], **place)
    return buffer.getvalue()


def as_recordio(rows: Rows) -> bytes:
    return b"".join(frame(Tensor(row, array("Q"), array("Q"))) for row in rows)


def as_sparse_recordio(rows: Rows) -> bytes:
    frames = []
    for row in rows:
        keys = np.flatnonzero(~np.isnan(row))
        frames.append(frame(Tensor(row[keys], array("Q", keys), array("Q", [len(row)]))))
    return b"".join(frames)


def frame(tensor: Tensor) -> bytes:
    message = record.write({"values": tensor}, {})
    return struct.pack("<II", 0xCED7230A, len(message)) + message + bytes(-len(message) % 4)


BODIES: dict[str, tuple[str, Callable[[Rows], bytes | str]]] = {
    "csv": (CSV, as_csv),
    "libsvm": (LIBSVM, as_libsvm),
    "json": (JSON, as_json),
    "jsonlines": (LINES, as_jsonlines),
    "npy": (NPY, as_npy),
    "npy of doubles": (NPY, lambda rows: as_npy(rows.astype(np.float64))),
    "npy in Fortran's order": (NPY, lambda rows: as_npy(np.asfortranarray(rows))),
    "npz": (NPZ, as_npz),
    "sparse npz": (NPZ, as_sparse_npz),
    "recordio": (RECORDIO, as_recordio),
    "sparse recordio": (RECORDIO, as_sparse_recordio),
}
SPARSE = ["libsvm", "sparse npz", "sparse recordio"]
KINDS = ["squarederror", "logistic", "softprob", "softmax", "dart", "linear", "stopped"]
