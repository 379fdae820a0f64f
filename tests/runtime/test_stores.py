"""Where inputs are read and answers written: folders, and what fsspec knows."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ArchiveError, SettingError
from serving.runtime import stores
from serving.runtime.stores import StoreError

LIMIT = 100


@pytest.fixture
def memory() -> Iterator[Any]:
    """An object store that fsspec has in memory."""
    files = import_module("fsspec").filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def address(root: str, tmp_path: Path) -> str:
    return root if "://" in root and root != "file://" else f"{root}{tmp_path}"


@pytest.mark.parametrize("root", ["", "file://", "memory://bucket"])
def test_what_is_written_can_be_read(memory: Any, tmp_path: Path, root: str) -> None:
    place = f"{address(root, tmp_path)}/folder/one.out"
    for content in (b"first", b"", b"\x00second"):
        stores.write(place, content)
        assert stores.read(place, LIMIT) == content


def test_a_file_appears_whole(tmp_path: Path) -> None:
    stores.write(f"{tmp_path}/one.out", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["one.out"]


def test_an_address_may_have_percent_signs(tmp_path: Path) -> None:
    place = stores.absolute(f"{tmp_path}/with space")
    assert place.endswith("/with%20space")
    stores.write(f"{place}/one.out", b"1")
    assert (tmp_path / "with space" / "one.out").read_bytes() == b"1"


@pytest.mark.parametrize("root", ["", "memory://bucket"])
def test_what_is_too_large_is_refused(memory: Any, tmp_path: Path, root: str) -> None:
    place = f"{address(root, tmp_path)}/one"
    stores.write(place, b"x" * LIMIT)
    assert len(stores.read(place, LIMIT)) == LIMIT
    stores.write(place, b"x" * (LIMIT + 1))
    with pytest.raises(StoreError, match="has more than 100 bytes, the limit"):
        stores.read(place, LIMIT)


def test_what_is_not_there_is_named(memory: Any, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"/gone cannot be read: No such file"):
        stores.read(f"{tmp_path}/gone", LIMIT)
    with pytest.raises(ArchiveError, match=r"memory://bucket/gone does not exist"):
        stores.read("memory://bucket/gone", LIMIT)


def test_what_cannot_be_written_is_named(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/one cannot be written: File exists"):
        stores.write(f"{tmp_path}/file/one", b"1")

    def full(*_: object) -> None:
        raise OSError("the bucket is full")

    monkeypatch.setattr(type(memory), "pipe_file", full)
    with pytest.raises(StoreError, match=r"bucket/one cannot be written: the bucket is full"):
        stores.write("memory://bucket/one", b"1")


@pytest.mark.parametrize(
    ("inside", "place"),
    [
        (True, "file://{root}/a"),
        (True, "file://{root}/a/b%20c"),
        (True, "{root}/a"),
        (True, "file:{root}/a"),
        (False, "file://{root}-b/a"),
        (False, "file://{root}/../a"),
        (False, "file://{root}/%2e%2e/a"),
        (False, "file://{root}/link/a"),
        (False, "file://{root}/.spool/a"),
        (False, "s3://bucket/a"),
    ],
)
def test_what_lies_in_a_folder(tmp_path: Path, inside: bool, place: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    assert stores.within(place.format(root=root), root.as_uri()) is inside


@pytest.mark.parametrize(
    ("inside", "place", "root"),
    [
        (True, "s3://bucket/in/a", "s3://bucket/in"),
        (True, "s3://bucket/in/a", "s3://bucket/in/"),
        (True, "https://host/a?signature=b", "https://host"),
        (False, "s3://bucket/inside", "s3://bucket/in"),
        (False, "s3://bucket/in/../out", "s3://bucket/in"),
        (False, "https://host/in/%2e%2e/out", "https://host/in"),
        (False, "https://host@elsewhere/a", "https://host"),
        (False, "https://host.elsewhere/a", "https://host"),
        (False, "file:///bucket/in/a", "s3://bucket/in"),
    ],
)
def test_what_lies_under_a_prefix(inside: bool, place: str, root: str) -> None:
    assert stores.within(place, root) is inside


def test_a_folder_that_can_be_written_is_made(tmp_path: Path, memory: Any) -> None:
    stores.check(f"{tmp_path}/new/folder")
    assert (tmp_path / "new/folder").is_dir()
    stores.check("memory://bucket/prefix")


def test_what_cannot_be_written_is_told_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"folder .*/file/new cannot be made: Not a directory"):
        stores.check(f"{tmp_path}/file/new")
    with pytest.raises(SettingError, match=r"Nothing can be written to https://host/out; name a"):
        stores.check("https://host/out")
    with pytest.raises(ArchiveError, match="scheme that is not supported"):
        stores.check("nowhere://bucket")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(SettingError, match=rf"The folder {tmp_path} cannot be written"):
        stores.check(str(tmp_path))
