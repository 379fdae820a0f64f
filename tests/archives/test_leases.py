"""Versions of an archive that nobody uses are removed, and no other ever."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.archives import Lease, borrow, leases, pack

LIMIT = 1 << 20


class Archive:
    """An archive that is replaced by others, and where its versions are unpacked."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.tar.gz"
        self.cache = folder / "cache"
        self._draft = folder / "draft"
        self._draft.mkdir()
        self._versions = 0

    def renew(self) -> None:
        """Put another version into its place."""
        self._versions += 1
        (self._draft / "weights").write_text(str(self._versions))
        pack(self._draft, self.path)
        os.utime(self.path, (self._versions, self._versions))

    def borrow(self) -> Lease:
        return borrow(str(self.path), self.cache, limit=LIMIT)

    @property
    def unpacked(self) -> set[Path]:
        return {path for path in self.cache.glob("*/*") if path.is_dir()}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path)
    archive.renew()
    return archive


def test_a_version_that_is_used_stays_beside_a_newer_one(archive: Archive) -> None:
    old = archive.borrow()
    archive.renew()
    new = archive.borrow()
    assert archive.unpacked == {old.folder, new.folder}
    assert (old.folder / "weights").read_text() == "1"
    old.end()
    new.end()


def test_one_that_nobody_uses_is_removed_with_the_next_look_at_the_archive(
    archive: Archive,
) -> None:
    old = archive.borrow()
    archive.renew()
    new = archive.borrow()
    old.end()
    again = archive.borrow()
    assert archive.unpacked == {new.folder} == {again.folder}
    assert not old.folder.with_name(f"{old.folder.name}.lock").exists()
    new.end()
    again.end()


def test_the_newest_stays_though_nobody_uses_it(archive: Archive) -> None:
    lease = archive.borrow()
    made = lease.folder.stat().st_ino
    lease.end()
    again = archive.borrow()
    assert again.folder.stat().st_ino == made
    again.end()


def test_a_version_is_used_until_the_last_of_its_users_has_ended(archive: Archive) -> None:
    first, second = archive.borrow(), archive.borrow()
    archive.renew()
    first.end()
    first.end()  # once more does nothing
    archive.borrow().end()
    assert second.folder in archive.unpacked
    second.end()
    archive.borrow().end()
    assert second.folder not in archive.unpacked


def test_what_another_process_uses_stays_until_that_ends(archive: Archive) -> None:
    program = (
        "import sys; from pathlib import Path; from serving.archives import borrow\n"
        f"lease = borrow(sys.argv[1], Path(sys.argv[2]), limit={LIMIT})\n"
        "print(lease.folder, flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(archive.path), str(archive.cache)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        archive.renew()
        archive.borrow().end()
        assert folder in archive.unpacked
        other.kill()  # a process that dies has let go
    archive.borrow().end()
    assert folder not in archive.unpacked


def test_who_ends_its_use_ends_it_though_it_was_forked_meanwhile(archive: Archive) -> None:
    lease = archive.borrow()
    ours, its = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(its)
        os.read(ours, 1)  # until the test lets go
        os._exit(0)
    os.close(ours)
    try:
        archive.renew()
        lease.end()
        archive.borrow().end()
        assert lease.folder not in archive.unpacked
    finally:
        os.close(its)
        os.waitpid(child, 0)


def test_versions_of_another_archive_stay(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Archive(tmp_path / "other")
    other.cache = archive.cache
    other.renew()
    theirs = other.borrow()
    theirs.end()
    archive.renew()
    archive.borrow().end()
    assert theirs.folder in archive.unpacked


def test_a_folder_that_is_used_is_there_however_many_use_and_remove_it(archive: Archive) -> None:
    def use(_: int) -> str:
        lease = archive.borrow()
        leases.remove(lease.folder)
        text = (lease.folder / "weights").read_text()
        lease.end()
        leases.remove(lease.folder)
        return text

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(use, range(200))) == {"1"}
    assert not list(archive.cache.iterdir())


def test_what_others_are_unpacking_is_left_to_them(archive: Archive) -> None:
    lease = archive.borrow()
    half = lease.folder.with_name(".half-unpacked")
    half.mkdir()
    archive.borrow().end()
    assert half.is_dir()
    lease.end()


def test_a_directory_is_used_as_it_is_and_never_removed(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "draft"
    lease = borrow(str(folder), archive.cache, limit=LIMIT)
    lease.end()
    assert lease.folder == folder
    assert folder.is_dir()
    assert not archive.cache.exists()


def test_what_cannot_be_locked_is_used_all_the_same(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    old = archive.borrow()
    archive.renew()
    new = archive.borrow()
    assert archive.unpacked == {old.folder, new.folder}
    old.end()
    new.end()


def test_a_cache_that_is_read_only_serves_what_is_in_it(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = archive.borrow()
    lease.end()
    really = os.open

    def refuse(path: Path, flags: int, *more: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(30, "Read-only file system")
        return really(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    again = archive.borrow()
    assert again.folder == lease.folder
    again.end()
