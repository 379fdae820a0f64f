"""The bytes of a tar archive, decompressed, read once from front to back, and counted."""

import gzip
import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from serving.errors import ArchiveError
from serving.progress import Progress

CHUNK = 256 << 10
"""Most bytes read at once. tarfile reads a member's metadata in one piece, however long that claims
to be; real metadata is far shorter."""
STEP = 1 << 20
"""Bytes between two calls of the progress function."""
BLOCK = 512

GZIP = b"\x1f\x8b"
OTHERS = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
}
WANTED = "a model archive is a .tar.gz of the model's folder, as `serving pack` makes it"


class TarStream:
    """A file object as far as ``tarfile`` needs one, for ``.tar`` and ``.tar.gz``.

    It goes forward only, so no part is decompressed twice, and it refuses what a hostile header
    can make tarfile ask for: a step back, or a read of gigabytes.

    Args:
        archive: the file; what it starts with decides how it is read, its name does not.
        limit: largest number of bytes to hand out, tar headers and padding included.
        progress: called with the position in the file and the file's size.
    """

    def __init__(self, archive: Path, *, limit: int, progress: Progress) -> None:
        self._file = archive.open("rb")
        self._size = archive.stat().st_size
        self._limit = limit
        self._progress = progress
        self._position = 0
        self._expanded = 0
        self._reported = 0
        self._last = b""
        with ExitStack() as undo:
            undo.callback(self._file.close)
            self._source = _decompressed(self._file)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._source.close()
        self._file.close()

    @property
    def room(self) -> int:
        """Bytes that may still be handed out."""
        return self._limit - self._position - self._expanded

    def expand(self, size: int) -> None:
        """Count ``size`` bytes that the caller makes without reading them, as of a sparse file."""
        self._expanded += size

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; fewer only at the end."""
        if not 0 <= size <= CHUNK:
            raise ArchiveError(f"it is damaged: a header asks for {size:,} bytes at once")
        try:
            self._last = self._source.read(size)
        except (EOFError, zlib.error, OSError) as error:
            raise ArchiveError(f"it is truncated or damaged: {error}") from error
        self._position += len(self._last)
        if self.room < 0:
            raise ArchiveError(f"it unpacks to more than {self._limit:,} bytes, which is the limit")
        if self._position - self._reported >= STEP:
            self._reported = self._position
            self._progress(self._file.tell(), self._size)
        return self._last

    def tell(self) -> int:
        """Number of bytes handed out."""
        return self._position

    def seek(self, position: int) -> None:
        """Read on to ``position``."""
        if position < self._position:
            raise ArchiveError("it is damaged: a header points back to where another one was")
        while self._position < position and self.read(min(CHUNK, position - self._position)):
            pass

    def finish(self) -> None:
        """Read the rest, so that the checksum behind it is compared, and insist on a proper end.

        To be called when tarfile finds no further member. It also stops, without a word, at a
        damaged header or where the file was cut between two members; then the zeros that end a
        tar archive are missing.
        """
        if self._last != bytes(BLOCK):
            raise ArchiveError("it is truncated or damaged: its end marker is missing")
        while self.read(CHUNK):
            pass
        self._progress(self._size, self._size)


def _decompressed(file: BinaryIO) -> BinaryIO:
    head = file.read(6)
    file.seek(0)
    if head.startswith(GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))
    if not head:
        raise ArchiveError(f"it is empty; {WANTED}")
    for magic, kind in OTHERS.items():
        if head.startswith(magic):
            raise ArchiveError(f"it is {kind}; {WANTED}")
    return file
