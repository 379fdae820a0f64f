"""Directories and archives of this machine."""

import stat
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from serving.archives import extract, fetch
from serving.errors import ArchiveError
from tests.archives.fetch.support import LIMIT, Site, archive_of, page, refusal, unpacked, weights


def test_a_directory_is_taken_as_it_is(tmp_path: Path, cache: Path) -> None:
    assert fetch(str(tmp_path), cache, limit=LIMIT) == tmp_path
    assert fetch(f"file://{tmp_path}", cache, limit=LIMIT) == tmp_path
    assert not cache.exists()


def test_an_archive_is_unpacked_once(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    folder = fetch(str(archive), cache, limit=LIMIT)
    assert weights(folder) == b"1"
    assert folder.is_relative_to(cache)
    made = folder.stat().st_ino
    assert fetch(str(archive), cache, limit=LIMIT).stat().st_ino == made
    assert unpacked(cache) == [folder]


def test_a_changed_archive_is_unpacked_anew(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    first = fetch(str(archive), cache, limit=LIMIT)
    archive.write_bytes(archive_of(b"another"))
    second = fetch(str(archive), cache, limit=LIMIT)
    assert (weights(first), weights(second)) == (b"1", b"another")


def test_the_cache_is_for_this_user_only(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    fetch(str(archive), cache, limit=LIMIT)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_file_address_may_have_escapes(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "my model.tar.gz").write_bytes(archive_of(b"1"))
    folder = fetch(f"file://localhost{tmp_path}/my%20model.tar.gz", cache, limit=LIMIT)
    assert weights(folder) == b"1"


def test_a_file_address_of_another_host_is_refused(cache: Path) -> None:
    message = refusal("file://models/model.tar.gz", cache)
    assert "names the host 'models'" in message
    assert "file:///models/model.tar.gz" in message


@pytest.mark.parametrize("source", ["missing", "/missing/model.tar.gz", "file:///missing", "a:b"])
def test_a_path_that_does_not_exist_is_named(
    source: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"{source.removeprefix('file://')} does not exist" in refusal(source, cache)


def test_an_empty_name_is_not_the_current_folder(cache: Path) -> None:
    assert "No model is named" in refusal("", cache)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07\x12" * 400)
    message = refusal(str(tmp_path / "model.onnx"), cache)
    assert message.startswith(f"Archive {tmp_path}/model.onnx is refused: it is no tar archive")


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    with pytest.raises(ArchiveError, match=r"cannot be fetched: .*Not a directory"):
        fetch(str(archive), archive / "cache", limit=LIMIT)


def test_who_comes_second_takes_what_the_first_unpacked(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extract_second(archive: Path, folder: Path, *, limit: int, **rest: object) -> None:
        extract(archive, folder, limit=limit)
        extract(archive, folder, limit=limit)

    monkeypatch.setattr(import_module("serving.archives.fetch"), "extract", extract_second)
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_of(b"1"))
    assert weights(fetch(str(archive), cache, limit=LIMIT)) == b"1"


def test_many_may_fetch_the_same_at_once(site: Site, cache: Path) -> None:
    site.pages["/model.tar.gz"] = page(archive_of(b"1" * 100_000), {"ETag": '"1"'})
    url = site.url("/model.tar.gz")
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: fetch(url, cache, limit=LIMIT), range(16)))
    assert unpacked(cache) == list(folders)
    assert [weights(folder) for folder in folders] == [b"1" * 100_000]
