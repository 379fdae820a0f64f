"""The manifest of models that were compiled for Neuron."""

import json
from pathlib import Path
from typing import Any

import pytest

from serving.engines.neuron_manifest import NAME, Manifest, read, write
from serving.errors import ModelLoadError
from serving.model import Tensor

INPUT = {"name": "x", "dtype": "float32", "shape": [None, 4]}
BUCKET = {"rows": 1, "file": "model_b1.pt"}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    inputs = Tensor("x", "float32", (None, 4)), Tensor("ids", "int64", (None,))
    manifest = Manifest(inputs, {8: "model_b8.pt", 1: "model_b1.pt"})
    for name in manifest.buckets.values():
        (tmp_path / name).touch()
    write(manifest, tmp_path)
    found = read(tmp_path / NAME)
    assert (found.inputs, dict(found.buckets)) == (inputs, dict(manifest.buckets))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is no manifest of Neuron models"),
        ("[]", "is no manifest of Neuron models"),
        ({"inputs": [INPUT]}, "'buckets'"),
        ({"inputs": [], "buckets": [BUCKET]}, "names no inputs"),
        ({"inputs": [INPUT], "buckets": []}, "no buckets"),
        ({"inputs": [{**INPUT, "dtype": "tensor"}], "buckets": [BUCKET]}, "tensor"),
        ({"inputs": [{**INPUT, "shape": [1, 4]}], "buckets": [BUCKET]}, "null and then lengths"),
        ({"inputs": [{**INPUT, "shape": [None, None]}], "buckets": [BUCKET]}, "null and then"),
        ({"inputs": [{**INPUT, "shape": []}], "buckets": [BUCKET]}, "not enough values"),
        ({"inputs": [INPUT], "buckets": [{**BUCKET, "rows": 0}]}, "rows 0"),
        ({"inputs": [INPUT], "buckets": [{**BUCKET, "rows": "1"}]}, "rows '1'"),
        ({"inputs": [INPUT], "buckets": [{**BUCKET, "file": "../model.pt"}]}, r"\.\./model\.pt"),
        ({"inputs": [INPUT], "buckets": [{**BUCKET, "size": 1}]}, "size"),
        ({"inputs": [INPUT], "buckets": [BUCKET]}, r"'model_b1\.pt', which is not beside it"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: Any, reason: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / NAME).write_text(text)
    with pytest.raises(ModelLoadError, match=rf"^neuron\.json .*{reason}"):
        read(tmp_path / NAME)
