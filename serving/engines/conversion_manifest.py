"""What a booster in ONNX's format says of its conversion, as JSON in the file's own metadata.

``serving compile --onnx`` writes it. A server that has the booster too knows by it whether the one
was made of the other, how far their answers may lie apart, and which rows to try both with::

    {
      "booster": {"file": "model.ubj", "sha256": "9f86d0…"},
      "tolerance": {"absolute": 1e-6, "relative": 1e-5},
      "difference": 1.2e-7,
      "rows": "AACAPwAA…"
    }

The rows are a table of float32, low byte first, in base64. All of this is in the file, and not
beside it, so that neither can be without the other.
"""

import base64
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from serving.engines.agreement import Rows, Tolerance
from serving.errors import ModelLoadError

KEY = "conversion"
"""The name of the metadata."""

MOST_ROWS, MOST_CELLS = 256, 65_536
"""Bounds of the rows that are kept, of which there is at least one."""


class Manifest(NamedTuple):
    """Where a conversion comes from, and what was found out when it was made."""

    file: str
    """Name of the booster's file."""
    sha256: str
    """Of that file, in hexadecimal digits."""
    tolerance: Tolerance
    """How much answers may differ."""
    difference: float
    """The largest of the answers that were compared."""
    rows: Rows
    """Some of what was compared, of shape (rows, features)."""


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def chosen(*tables: Rows) -> Rows:
    """Rows to keep, of each table as many as fit: the first ones."""
    columns = tables[0].shape[1]
    most = max(1, min(MOST_ROWS, MOST_CELLS // columns) // len(tables))
    return np.concatenate([table[:most] for table in tables])


def write(manifest: Manifest) -> str:
    """The manifest as text."""
    content = {
        "booster": {"file": manifest.file, "sha256": manifest.sha256},
        "tolerance": manifest.tolerance._asdict(),
        "difference": manifest.difference,
        "rows": base64.b64encode(manifest.rows.astype("<f4").tobytes()).decode(),
    }
    return orjson.dumps(content).decode()


def read(text: str, name: str, columns: int) -> Manifest:
    """The manifest in a text.

    Args:
        text: The metadata.
        name: Of the file that has it, for the error.
        columns: Features a row.

    Raises:
        ModelLoadError: it is no manifest.
    """
    try:
        content = orjson.loads(text)
        booster = content["booster"]
        cells = np.frombuffer(base64.b64decode(content["rows"], validate=True), "<f4")
        rows = cells.astype(np.float32).reshape(-1, columns)
        tolerance = Tolerance(**content["tolerance"])
        difference = float(content["difference"])
        manifest = Manifest(booster["file"], booster["sha256"], tolerance, difference, rows)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelLoadError(
            f"What {name} says of its conversion cannot be read ({error}); make it anew with "
            "serving compile --onnx."
        ) from error
    if not len(rows):
        raise ModelLoadError(f"{name} says of its conversion that no rows were compared.")
    return manifest


def refuse_stale(manifest: Manifest | None, name: str, booster: Path) -> None:
    """Return if a conversion was made of a booster as it is.

    Args:
        manifest: What the conversion says; None: nothing.
        name: Of the conversion's file.
        booster: The booster's file.

    Raises:
        ModelLoadError: it was made of another, or does not say.
    """
    again = "make it anew with serving compile --onnx"
    if manifest is None:
        raise ModelLoadError(f"{name} does not say what it was made of; {again}.")
    if manifest.sha256 != checksum(booster):
        raise ModelLoadError(
            f"{name} was made of another {booster.name} than the one beside it; {again}."
        )
