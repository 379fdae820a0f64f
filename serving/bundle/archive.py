"""A zip of several parts: equal parts give equal bytes, and what is too large is refused."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from serving.errors import ArchiveError

MIB = 1024 * 1024
MOST_ZIPPED, MOST_UNZIPPED = 50 * MIB, 250 * MIB
"""Lambda's quotas for a function's package, in bytes."""

TIME = (1980, 1, 1, 0, 0, 0)
"""Of every file: the first that a zip can name."""

MODE = 0o644 << 16
"""Of every file: Lambda runs the function as a user that it does not name."""

LEVEL = 9
"""Of deflate. A package is made once and loaded often."""


class Part(NamedTuple):
    """Files that have a name together."""

    name: str
    files: Mapping[str, Path | bytes]
    """By their path in the zip."""


class Size(NamedTuple):
    """What a part takes."""

    name: str
    zipped: int
    """Bytes, without the zip's directory."""
    unzipped: int


def write(parts: Sequence[Part], archive: Path) -> list[Size]:
    """Write the parts to a new file, and give the size of each and of all together.

    Raises:
        ArchiveError: it is larger than Lambda accepts; names the size of each part.
        OSError: it cannot be written, or a part cannot be read.
    """
    plain = [Size(part.name, 0, sum(map(_length, part.files.values()))) for part in parts]
    if sum(size.unzipped for size in plain) > MOST_UNZIPPED:
        raise _too_large(plain)
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED) as packed:
        sizes = [_add(part, packed) for part in parts]
    total = archive.stat().st_size
    if total > MOST_ZIPPED:
        raise _too_large(sizes)
    return [*sizes, Size("together", total, sum(size.unzipped for size in sizes))]


def _length(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _add(part: Part, packed: zipfile.ZipFile) -> Size:
    zipped = unzipped = 0
    for name, content in sorted(part.files.items()):
        entry = zipfile.ZipInfo(name, TIME)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 3  # Unix, wherever it is made
        entry.external_attr = MODE
        data = content if isinstance(content, bytes) else content.read_bytes()
        packed.writestr(entry, data, compresslevel=LEVEL)
        zipped += entry.compress_size
        unzipped += entry.file_size
    return Size(part.name, zipped, unzipped)


def _too_large(sizes: Sequence[Size]) -> ArchiveError:
    zipped, unzipped = (sum(column) for column in zip(*(size[1:] for size in sizes), strict=True))
    total = f"{mib(zipped)} zipped, {mib(unzipped)} unzipped" if zipped else mib(unzipped)
    listing = ", ".join(
        f"{size.name} {mib(size.zipped) + ' of ' if zipped else ''}{mib(size.unzipped)}"
        for size in sizes
    )
    return ArchiveError(
        f"The package is too large: {total}. Lambda@Edge accepts {mib(MOST_ZIPPED)} zipped, "
        f"{mib(MOST_UNZIPPED)} unzipped. The parts: {listing}. A model that does not fit can be "
        "served elsewhere, with --forward URL here."
    )


def mib(size: int) -> str:
    """A number of bytes, for people."""
    return f"{size / MIB:.1f} MiB"
