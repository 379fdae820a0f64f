"""What a directory of models compiled for Neuron says of itself: ``neuron.json``.

``serving compile`` writes it, since a traced file does not say what it takes::

    {
      "inputs": [{"name": "x", "dtype": "float32", "shape": [null, 4]}],
      "buckets": [{"rows": 1, "file": "model_b1.pt"}, {"rows": 8, "file": "model_b8.pt"}]
    }

The first length of a shape stands for the rows; all others are fixed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from serving.errors import ModelLoadError
from serving.model import Tensor

NAME = "neuron.json"


class Manifest(NamedTuple):
    """What the models in a directory take."""

    inputs: tuple[Tensor, ...]
    buckets: Mapping[int, str]
    """Names of files, by the number of rows that each takes."""


def write(manifest: Manifest, folder: Path) -> None:
    """Write the manifest of a directory."""
    inputs = [tensor._asdict() for tensor in manifest.inputs]
    buckets = [{"rows": rows, "file": file} for rows, file in sorted(manifest.buckets.items())]
    content = orjson.dumps({"inputs": inputs, "buckets": buckets}, option=orjson.OPT_INDENT_2)
    (folder / NAME).write_bytes(content + b"\n")


def read(path: Path) -> Manifest:
    """The manifest at ``path``.

    Raises:
        ModelLoadError: it is no manifest, or names a file that is not beside it.
    """
    try:
        content = orjson.loads(path.read_bytes())
        inputs = tuple(_tensor(**item) for item in content["inputs"])
        buckets = dict(_bucket(**item) for item in content["buckets"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelLoadError(f"{path.name} is no manifest of Neuron models: {error}.") from error
    if not inputs or not buckets:
        raise ModelLoadError(f"{path.name} names no inputs, or no buckets.")
    for file in buckets.values():
        if not (path.parent / file).is_file():
            raise ModelLoadError(f"{path.name} names {file!r}, which is not beside it.")
    return Manifest(inputs, buckets)


def _tensor(name: str, dtype: str, shape: list[Any]) -> Tensor:
    first, *rest = shape
    if first is not None or not all(isinstance(length, int) and length > 0 for length in rest):
        raise ValueError(f"input {name!r} has shape {shape}; that is null and then lengths")
    return Tensor(str(name), np.dtype(dtype).name, (None, *rest))


def _bucket(rows: int, file: str) -> tuple[int, str]:
    if not isinstance(rows, int) or rows < 1 or Path(file).name != file:
        raise ValueError(f"a bucket has rows {rows!r} and file {file!r}")
    return rows, file
