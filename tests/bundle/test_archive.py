"""Zips that are the same every time, and no larger than Lambda accepts."""

import os
import zipfile
from pathlib import Path

import pytest

from serving.bundle import archive
from serving.bundle.archive import Part, Size, write
from serving.errors import ArchiveError


def test_equal_parts_give_equal_bytes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    write([Part("one", {"b": file, "a": b"1"})], tmp_path / "first.zip")
    os.utime(file, (0, 2_000_000_000))
    file.chmod(0o700)
    write([Part("one", {"a": b"1", "b": file})], tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_every_user_may_read_what_is_in_it(tmp_path: Path) -> None:
    write([Part("one", {"a": b"1"})], tmp_path / "edge.zip")
    with zipfile.ZipFile(tmp_path / "edge.zip") as packed:
        (entry,) = packed.infolist()
        assert packed.read(entry) == b"1"
    assert entry.external_attr >> 16 == 0o644


def test_the_size_of_each_part_is_told(tmp_path: Path) -> None:
    parts = [Part("model", {"m": bytes(1000)}), Part("code", {"c": b"12", "d": b"3"})]
    model, code, together = write(parts, tmp_path / "edge.zip")
    assert (model.name, model.unzipped) == ("model", 1000)
    assert model.zipped < 100
    assert (code.name, code.unzipped) == ("code", 3)
    size = (tmp_path / "edge.zip").stat().st_size
    assert together == Size("together", size, 1003)


def test_what_is_too_large_zipped_is_refused_with_the_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_ZIPPED", 1024 * 1024)
    parts = [Part("model", {"m": os.urandom(2 * 1024 * 1024)}), Part("code", {"c": bytes(4)})]
    expected = (
        r"2\.0 MiB zipped, 2\.0 MiB unzipped\. .* accepts 1\.0 MiB zipped, 250\.0 MiB unzipped\."
        r" The parts: model 2\.0 MiB of 2\.0 MiB, code 0\.0 MiB of 0\.0 MiB\. .*--forward URL"
    )
    with pytest.raises(ArchiveError, match=expected):
        write(parts, tmp_path / "edge.zip")


def test_what_is_too_large_unzipped_is_refused_before_it_is_zipped(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(archive.MOST_UNZIPPED + 1)
    with pytest.raises(ArchiveError, match=r"too large: 250\.0 MiB\. .*model 250\.0 MiB"):
        write([Part("model", {"m": huge})], tmp_path / "edge.zip")
    assert not (tmp_path / "edge.zip").exists()
