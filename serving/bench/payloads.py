"""What is sent: files, or rows of numbers made up in a media type."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from serving.errors import ConfigurationError
from serving.media import BY_SUFFIX

Rows = list[list[float]]


def from_file(path: Path) -> tuple[bytes, str]:
    """A file's bytes and the media type of its suffix, empty if that is not known.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return path.read_bytes(), BY_SUFFIX.get(path.suffix.lower(), "")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def made_up(rows: int, columns: int, content_type: str, seed: int) -> bytes:
    """So many rows of numbers from a normal distribution, the same for the same seed.

    Raises:
        ConfigurationError: no rows can be made in that media type.
    """
    write = WRITERS.get(content_type)
    if write is None:
        raise ConfigurationError(
            f"Rows cannot be made up as {content_type}, only as {', '.join(WRITERS)}; "
            f"send a file instead."
        )
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret with it
    return write([[round(chance.gauss(0, 1), 4) for _ in range(columns)] for _ in range(rows)])


def _csv(rows: Rows) -> bytes:
    return "\n".join(",".join(map(str, row)) for row in rows).encode()


def _json(rows: Rows) -> bytes:
    import orjson

    return orjson.dumps(rows)


def _npy(rows: Rows) -> bytes:
    import io

    import numpy as np

    file = io.BytesIO()
    np.save(file, np.array(rows, np.float32))
    return file.getvalue()


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    "text/csv": _csv,
    "application/json": _json,
    "application/x-npy": _npy,
}


def all_of(
    files: Sequence[Path], rows: int, columns: int, content_type: str, seed: int
) -> list[tuple[bytes, str]]:
    """The bodies to send with their media types: those of the files, or one that is made up."""
    if files:
        return [(body, content_type or known) for body, known in map(from_file, files)]
    content_type = content_type or "text/csv"
    return [(made_up(rows, columns, content_type, seed), content_type)]
