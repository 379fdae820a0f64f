"""Model directories made of others."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.archives.staging import staged
from serving.errors import SettingError


def check(folder: Path, output: Path) -> None:
    """Find out early whether ``output`` can be made of ``folder``.

    Raises:
        SettingError: there is an output already, or it would lie in the folder.
    """
    if output.exists():
        raise SettingError(f"{output} is there already; name a new directory with --output.")
    if output.resolve().is_relative_to(folder.resolve()):
        raise SettingError(f"{output} would lie in the model directory; name another --output.")


@contextmanager
def copied(folder: Path, output: Path, left_out: Iterable[str]) -> Iterator[Path]:
    """A copy of a model directory, which the body changes; it bears its name if that succeeds.

    Args:
        folder: The model directory.
        output: The one to make.
        left_out: Patterns of what in the directory itself is not copied.

    Raises:
        SettingError: the output cannot be made there.
    """
    check(folder, output)
    with _told(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with staged(output) as place:
        with _told(output):
            shutil.copytree(folder, place, ignore=_top_level(folder, left_out))
        yield place
        place.rename(output)


@contextmanager
def _told(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingError(f"{output} cannot be written: {error}.") from error


def _top_level(folder: Path, patterns: Iterable[str]) -> Any:
    """For ``copytree``: leaves out what matches in the folder itself."""
    matches = shutil.ignore_patterns(*patterns)
    return lambda place, names: matches(place, names) if Path(place) == folder else set()
