"""Unpack a model archive, trusting nothing in it.

``tarfile`` reads the headers; this module writes the files. It keeps the rules of tarfile's own
data filter and further ones, because that filter was got round more than once (CVE-2024-12718,
CVE-2025-4138, CVE-2025-4330, CVE-2025-4517) and is missing before Python 3.11.4. Two of them do
most of the work:

* A member's own path is refused unless it stays in the folder as it is written.
* Symbolic links are made last, after every file and folder, so no member is written through one.
  Then each is followed to its end, which must be in the folder too.

Owners, times and all permissions except "executable" are those of any file this process makes.
"""

import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from serving.archives.links import destination, leaves
from serving.archives.staging import staged
from serving.archives.stream import CHUNK, WANTED, TarStream
from serving.errors import ArchiveError
from serving.progress import Progress, silent

MAX_MEMBERS = 100_000
MAX_DEPTH = 64
"""Most parts of a member's path."""
MAX_PATH = 4096
"""Most characters of a member's path, or of a link's target; what Linux takes."""


def extract(
    archive: Path, folder: Path, *, limit: int, progress: Progress = silent, name: str = ""
) -> None:
    """Unpack ``archive``, a ``.tar.gz`` or a ``.tar``, into ``folder``.

    The folder appears whole or not at all.

    Args:
        archive: the file to read.
        folder: where to unpack; must be missing or empty.
        limit: most bytes that the archive may unpack to, with its headers and padding.
        progress: called with the bytes of the archive read so far and its size.
        name: what messages call the archive; by default its path.

    Raises:
        ArchiveError: the archive is refused, damaged or cannot be read, or the folder cannot be
            written.
    """
    name = name or str(archive)
    try:
        _make_room(folder)
        with staged(folder) as root, TarStream(archive, limit=limit, progress=progress) as stream:
            root.mkdir()
            _unpack(stream, root)
            root.rename(folder)
    except ArchiveError as error:
        raise ArchiveError(f"Archive {name} is refused: {error}.") from error
    except OSError as error:
        reason = error.strerror or error
        raise ArchiveError(f"Archive {name} cannot be unpacked to {folder}: {reason}.") from error
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        # What tarfile raises for a header that makes no sense; the last for a long row of them.
        raise ArchiveError(f"Archive {name} is refused: it is damaged: {error}.") from error


def _make_room(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise ArchiveError(f"the folder {folder} to unpack it to is not empty")
    folder.parent.mkdir(parents=True, exist_ok=True)


def _unpack(stream: TarStream, root: Path) -> None:
    files: set[Path] = set()
    links: dict[Path, str] = {}
    with _opened(stream) as tar:
        for count, member in enumerate(iter(tar.next, None), 1):
            tar.members.clear()  # tarfile would keep them all
            if count > MAX_MEMBERS:
                raise ArchiveError(f"it has more than {MAX_MEMBERS:,} members")
            _check(member, stream.room)
            path = root / member.name
            with _naming(member.name):
                if member.issym():
                    links[path] = member.linkname
                elif member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                elif member.islnk():
                    _make_hard_link(member, path, root / member.linkname, files)
                else:
                    if member.issparse():
                        stream.expand(member.size)
                    _write(tar, member, path)
                    files.add(path)
    stream.finish()
    if not files:
        raise ArchiveError("it holds no file")
    _make_links(links, root)


class _Tar(tarfile.TarFile):
    members: list[tarfile.TarInfo]
    """Every header read so far, with all its metadata."""


def _opened(stream: TarStream) -> _Tar:
    try:
        return _Tar.open(fileobj=cast("BinaryIO", stream), mode="r:")
    except tarfile.ReadError as error:
        raise ArchiveError(f"it is no tar archive ({error}); {WANTED}") from error


def _check(member: tarfile.TarInfo, room: int) -> None:
    """Refuse what the member's header alone gives reason to."""
    path = PurePosixPath(member.name)
    reason = ""
    if max(len(member.name), len(member.linkname)) > MAX_PATH:
        reason = f"has a path of more than {MAX_PATH:,} characters"
    elif len(path.parts) > MAX_DEPTH:
        reason = f"lies more than {MAX_DEPTH} folders deep"
    elif path.is_absolute():
        reason = "has an absolute path; paths must be relative to the model's folder"
    elif ".." in path.parts:
        reason = "has a path with .. in it, which may leave the folder"
    elif not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        reason = "is a device or a pipe; a model has files, folders and links"
    elif member.issym() and leaves(path, member.linkname):
        reason = f"is a link that leaves the folder, to {member.linkname!r}"
    elif member.size > room:
        reason = f"has {member.size:,} bytes, {member.size - room:,} more than the limit leaves"
    if reason:
        raise _refused(member.name, reason)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    mode = 0o755 if member.mode & 0o100 else 0o644
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # as in tar, the last of two namesakes counts
    with (
        tarfile.ExFileObject(tar, member) as source,
        open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as target,
    ):
        shutil.copyfileobj(source, target, CHUNK)


def _make_hard_link(member: tarfile.TarInfo, path: Path, original: Path, files: set[Path]) -> None:
    if original not in files:
        reason = f"is a hard link to {member.linkname!r}, which is no file that precedes it"
        raise _refused(member.name, reason)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.hardlink_to(original)
    files.add(path)


def _make_links(links: dict[Path, str], root: Path) -> None:
    names = {path: str(path.relative_to(root)) for path in links}
    for path, target in links.items():
        if path.exists() or any(parent in links for parent in path.parents):
            raise _refused(names[path], "is a link where the archive has a folder or another file")
        with _naming(names[path]):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
    top = Path(os.path.realpath(root))
    for path, target in links.items():
        with _naming(names[path]):
            if not destination(path).is_relative_to(top):
                raise _refused(names[path], f"is a link that leaves the folder, to {target!r}")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Let an error of the operating system say which member it met."""
    try:
        yield
    except OSError as error:
        raise _refused(name, f"cannot be made: {error.strerror or error}") from error


def _refused(name: str, reason: str) -> ArchiveError:
    return ArchiveError(f"its member {name[:MAX_PATH]!r} {reason}")
