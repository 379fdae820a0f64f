"""What a converted booster says of its conversion."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from serving.engines import conversion_manifest
from serving.engines.agreement import Tolerance
from serving.engines.conversion_manifest import MOST_CELLS, MOST_ROWS, Manifest, chosen, read, write
from serving.errors import ModelLoadError

ROWS = np.array([[1, np.nan], [-np.inf, 0.1]], np.float32)
MANIFEST = Manifest("model.ubj", "ab12", Tolerance(1e-6, 1e-5), 1.5e-7, ROWS)


def test_what_is_written_is_read_with_every_bit() -> None:
    found = read(write(MANIFEST), "model.ubj.xgb.onnx", 2)
    assert found[:-1] == MANIFEST[:-1]
    assert found.rows.dtype == np.float32
    assert found.rows.tobytes() == ROWS.tobytes()


def altered(**changes: object) -> str:
    return orjson.dumps(orjson.loads(write(MANIFEST)) | changes).decode()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        altered(booster={}),
        altered(tolerance={"absolute": 1}),
        altered(difference="small"),
        altered(rows="!"),
        altered(rows="AAAA"),
        altered(rows=None),
    ],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ModelLoadError, match=r"m\.xgb\.onnx says .* serving compile --onnx"):
        read(text, "m.xgb.onnx", 2)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ModelLoadError, match="cannot be read"):
        read(write(MANIFEST), "m.xgb.onnx", 3)


def test_a_manifest_without_rows_is_refused() -> None:
    with pytest.raises(ModelLoadError, match="no rows were compared"):
        read(altered(rows=""), "m.xgb.onnx", 2)


def test_a_booster_of_other_bytes_is_another(tmp_path: Path) -> None:
    booster = tmp_path / "model.ubj"
    booster.write_bytes(b"trees")
    manifest = MANIFEST._replace(sha256=conversion_manifest.checksum(booster))
    conversion_manifest.refuse_stale(manifest, "model.ubj.xgb.onnx", booster)
    booster.write_bytes(b"other trees")
    with pytest.raises(ModelLoadError, match=r"was made of another model\.ubj than the one beside"):
        conversion_manifest.refuse_stale(manifest, "model.ubj.xgb.onnx", booster)


def test_a_conversion_that_says_nothing_is_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="does not say what it was made of"):
        conversion_manifest.refuse_stale(None, "model.ubj.xgb.onnx", tmp_path / "model.ubj")


def test_rows_of_each_table_are_kept_as_many_as_there_is_room_for() -> None:
    one, other = np.zeros((1000, 2), np.float32), np.ones((1000, 2), np.float32)
    kept = chosen(one, other)
    assert kept.shape == (MOST_ROWS, 2)
    assert kept[:, 0].mean() == 0.5
    wide = np.zeros((4, MOST_CELLS * 2), np.float32)
    assert chosen(wide).shape == (1, MOST_CELLS * 2)
    assert chosen(one[:3], other).shape == (3 + MOST_ROWS // 2, 2)
