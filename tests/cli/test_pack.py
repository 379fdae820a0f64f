"""``serving pack``."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_it_makes_an_archive_and_says_what_it_made(
    command: Command, folders: dict[str, Path], tmp_path: Path
) -> None:
    archive = tmp_path / "out" / "model.tar.gz"
    result = command("pack", folders["xgboost"], "--output", archive)
    content = archive.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert result.status == 0
    assert result.out == f"{archive}: 1 files, {len(content):,} bytes, sha256 {digest}\n"
    with tarfile.open(archive) as packed:
        assert packed.getnames() == ["model.json"]


def test_by_default_it_is_model_tar_gz_here(
    command: Command,
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("pack", folders["script"]).status == 0
    assert (tmp_path / "model.tar.gz").is_file()


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_what_cannot_be_packed_is_refused_in_one_line(
    command: Command, folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder = folders.get(name, tmp_path / name)
    result = command("pack", folder, "-o", tmp_path / "model.tar.gz")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"serving: {folder} ")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "model.tar.gz").exists()
