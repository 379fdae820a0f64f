"""Folders of unpacked archives, and who uses them, where processes share a cache.

Beside each folder lies a lock file. Who uses the folder holds that shared, and who removes it holds
it alone: nothing is removed under anybody, and a process that dies has let go of what it used. The
folders beside each other are versions of one archive.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EROFS
from pathlib import Path

from serving.archives.staging import staged

log = logging.getLogger("serving")

FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class Lease:
    """The use of a model directory."""

    def __init__(self, folder: Path, lock: int | None = None) -> None:
        """Use a folder, for which a file descriptor is locked if others may remove it."""
        self.folder = folder
        self._lock = lock

    def end(self) -> None:
        """The folder is used no more. What is not ended ends with the process."""
        lock, self._lock = self._lock, None
        if lock is not None:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a process that was forked meanwhile has it, too
            os.close(lock)


def hold(folder: Path) -> Lease:
    """Use a folder, which need not be there yet. Raises OSError."""
    path = _lock_of(folder)
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, FLAGS, 0o600)
        except FileNotFoundError:  # who removed the last version removed the place for it
            continue
        except OSError as error:
            if error.errno in (EACCES, EROFS):  # where this cannot write, nobody removes anything
                return Lease(folder)
            raise
        if not _locked(lock, fcntl.LOCK_SH):
            os.close(lock)
            return Lease(folder)
        if _lies_at(path, lock):
            return Lease(folder, lock)
        os.close(lock)


def remove(folder: Path) -> None:
    """Remove a folder if nobody uses it."""
    path = _lock_of(folder)
    try:
        with staged(folder) as gone, _alone(path) as mine:
            if mine:
                with suppress(FileNotFoundError):
                    folder.rename(gone)
                path.unlink()
    except OSError as error:
        log.warning("%s is not needed any more, and cannot be removed: %s", folder, error)
    with suppress(OSError):  # another version is there
        folder.parent.rmdir()


def remove_others(folder: Path) -> None:
    """Remove the versions that lie beside a folder, but for those that somebody uses."""
    for other in folder.parent.iterdir():
        if other.is_dir() and not other.name.startswith(".") and other != folder:
            remove(other)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold a lock file alone, if that is possible now; says whether it is."""
    try:
        lock = os.open(path, FLAGS, 0o600)
    except OSError:  # another has removed all, or this cannot write here
        yield False
        return
    try:
        yield _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB) and _lies_at(path, lock)
    finally:
        os.close(lock)


def _locked(lock: int, how: int) -> bool:
    """Whether a lock could be had: others may hold it, and not every file system has locks."""
    try:
        fcntl.flock(lock, how)
    except OSError:
        return False
    return True


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _lies_at(path: Path, lock: int) -> bool:
    """Whether a lock is that of the file at a path, and not of one that was removed meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False
