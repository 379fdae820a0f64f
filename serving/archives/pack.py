"""Make a ``model.tar.gz`` of a model's folder; equal folders give equal bytes.

Members are sorted; owners, times and all permissions except "executable" are left out. So the hash
of an archive names the model in it, for as long as the same zlib compresses.
"""

import gzip
import hashlib
import os
import stat
import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from serving.archives.links import destination, leaves
from serving.archives.staging import staged
from serving.errors import ArchiveError
from serving.progress import Progress, silent

SKIPPED = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".DS_Store"})
LEVEL = 1
"""Of gzip, from 1 to 9. Float weights shrink by 7 % at any level, and at the same speed; numbers as
text are packed five times faster than at level 6, into 8 % more bytes."""
STEP = 1 << 20
"""Bytes between two calls of the progress function."""


class Packed(NamedTuple):
    """What `pack` made."""

    path: Path
    files: int
    """Number of files in it, without folders and links."""
    bytes: int
    """Size of the archive."""
    sha256: str
    """Hash of the archive, in hexadecimal."""


def pack(folder: Path, archive: Path, *, progress: Progress = silent) -> Packed:
    """Write what ``folder`` holds, but for caches and version control, to ``archive``.

    An older archive is replaced when the new one is complete. It may lie in the folder, and is then
    left out of itself.

    Args:
        folder: the model's folder; what it holds becomes the top of the archive.
        archive: file to write, ``model.tar.gz`` as a rule.
        progress: called with the bytes read so far and the size of all files.

    Raises:
        ArchiveError: the folder holds no file, or something that has no place in an archive, or
            cannot be read; or the archive cannot be written.
    """
    try:
        top = folder.resolve(strict=True)
        members = _members(top, archive.resolve())
        files = [member for member in members if member.isreg()]
        if not files:
            raise ArchiveError(f"{folder} holds no file to pack.")
        archive.parent.mkdir(parents=True, exist_ok=True)
        with staged(archive) as part:
            _write(members, top, part, _Meter(progress, sum(file.size for file in files)))
            size = part.stat().st_size
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            part.replace(archive)
    except OSError as error:
        raise ArchiveError(f"{folder} cannot be packed to {archive}: {error}.") from error
    return Packed(archive, len(files), size, digest)


def _members(top: Path, archive: Path) -> list[tarfile.TarInfo]:
    """What to pack, in order: a folder comes before what is in it."""
    paths = [path for path in _walk(top) if path != archive]
    known = {top, *paths}
    return [_member(path, top, known) for path in sorted(paths)]


def _walk(folder: Path) -> list[Path]:
    """All that is in ``folder`` and its folders, links not followed."""
    paths = []
    for directory, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if name not in SKIPPED]
        paths += [Path(directory, name) for name in (*folders, *files) if name not in SKIPPED]
    return paths


def _raise(error: OSError) -> None:
    raise error  # os.walk leaves out what it cannot list, unless told otherwise


def _member(path: Path, top: Path, known: set[Path]) -> tarfile.TarInfo:
    name = PurePosixPath(path.relative_to(top))
    member = tarfile.TarInfo(str(name))
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        member.type, member.mode = tarfile.SYMTYPE, 0o777
        member.linkname = str(path.readlink())
        if leaves(name, member.linkname) or destination(path) not in known:
            raise ArchiveError(
                f"{path} is a link to {member.linkname!r}, which is not packed with it; copy "
                "what it points to into the folder, or point to a path within it."
            )
    elif stat.S_ISDIR(status.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISREG(status.st_mode):
        member.size = status.st_size
        member.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    else:
        raise ArchiveError(f"{path} is neither a file nor a folder nor a link; remove it.")
    return member


class _Meter:
    """Counts what is read of all files."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._reported = 0

    def add(self, size: int) -> None:
        self._done += size
        if self._done - self._reported >= STEP or self._done == self._total:
            self._reported = self._done
            self._progress(self._done, self._total)


class _Metered:
    """A file to read from, as far as ``tarfile`` needs one."""

    def __init__(self, file: BinaryIO, meter: _Meter) -> None:
        self._file = file
        self._meter = meter

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        self._meter.add(len(chunk))
        return chunk


def _write(members: list[tarfile.TarInfo], top: Path, archive: Path, meter: _Meter) -> None:
    with (
        archive.open("xb") as file,
        # Without a name and a time, the gzip header is the same every time.
        gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w:", format=tarfile.PAX_FORMAT) as tar,
    ):
        for member in members:
            if member.isreg():
                with Path(top, member.name).open("rb") as source:
                    tar.addfile(member, cast("BinaryIO", _Metered(source, meter)))
            else:
                tar.addfile(member)
