"""What is made of files, and made again when they have changed: keys, certificates."""

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from serving.errors import SettingError

log = logging.getLogger("serving")

T = TypeVar("T")

LOOK_SECONDS = 1.0
"""Time between two looks whether a file has changed."""


class Renewed(Generic[T]):
    """A value made of files. One that was replaced on disk is taken up without a restart."""

    def __init__(
        self,
        make: Callable[[], T],
        paths: Iterable[Path],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the value; ``clock`` gives seconds.

        Raises:
            SettingError: raised by ``make`` where a file is not as it has to be.
        """
        self._make = make
        self._paths = tuple(paths)
        self._clock = clock
        self._versions = self._seen()
        self._value = make()
        self._next_look = clock() + LOOK_SECONDS

    def current(self) -> T:
        """The value; that of before where the files have become such that none can be made."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            versions = self._seen()
            if versions != self._versions:
                self._versions = versions
                self._renew()
        return self._value

    def _renew(self) -> None:
        try:
            self._value = self._make()
        except SettingError as error:
            log.warning("what was read before goes on to be used: %s", error)
        else:
            log.info("read again: %s", ", ".join(map(str, self._paths)))

    def _seen(self) -> list[tuple[int, ...]]:
        """What is different after a file was written to or replaced."""
        return [_version(path) for path in self._paths]


def _version(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
