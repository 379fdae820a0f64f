"""Model directories made of others."""

from pathlib import Path

import pytest

from serving.compilation import folders
from serving.errors import SettingError


def test_only_the_top_level_is_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "deep").mkdir()
    for place in (folder, folder / "deep"):
        (place / "model.onnx").write_text("a")
    with folders.copied(folder, tmp_path / "new" / "out", ["model.onnx"]) as place:
        assert not (tmp_path / "new" / "out").exists()
        (place / "other").write_text("b")
    made = tmp_path / "new" / "out"
    assert sorted(path.name for path in made.iterdir()) == ["deep", "other"]
    assert (made / "deep" / "model.onnx").read_text() == "a"


def test_what_fails_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyError), folders.copied(folder, tmp_path / "out", []):
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_output_that_is_there_is_left_alone(folder: Path) -> None:
    with pytest.raises(SettingError, match="is there already; name a new"):
        folders.check(folder, folder)


def test_an_output_in_the_model_directory_is_refused(folder: Path) -> None:
    with pytest.raises(SettingError, match="would lie in the model directory"):
        folders.check(folder, folder / "deep" / "out")


def test_an_output_that_cannot_be_written_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    copy = folders.copied(folder, tmp_path / "file" / "out", [])
    with pytest.raises(SettingError, match="cannot be written"), copy:
        pass
