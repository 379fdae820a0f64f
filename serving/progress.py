"""Progress of long work: who does the work calls a function, a terminal shows it as a bar.

What reads or writes much takes a ``progress`` argument, a function of the bytes done and of their
total, and calls it about once a mebibyte. It shows nothing by default.
"""

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

Progress = Callable[[int, int | None], None]
"""Takes the bytes done so far and the bytes in all, None where that is not known."""

WIDTH = 24
"""Characters of a full bar."""
INTERVAL = 0.1
"""Seconds between two drawings."""


def silent(_done: int, _total: int | None) -> None:
    """Show nothing."""


class Bar:
    """One line on standard error, drawn over and over while the work goes on.

    ::

        with Bar("Packing") as progress:
            pack(folder, archive, progress=progress)

    Where standard error is no terminal, ``progress`` is `silent` and nothing is written.
    """

    def __init__(
        self,
        label: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._clock = clock
        self._next = float("-inf")
        self._last: tuple[int, int | None] | None = None

    def __enter__(self) -> Progress:
        return self._update if self._stream.isatty() else silent

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._last is not None:
            self._draw(*self._last)
            self._stream.write("\n")
            self._stream.flush()

    def _update(self, done: int, total: int | None) -> None:
        self._last = done, total
        now = self._clock()
        if now >= self._next:
            self._next = now + INTERVAL
            self._draw(done, total)

    def _draw(self, done: int, total: int | None) -> None:
        text = f"{self._label}  {_human(done)}"
        if total:
            share = min(done / total, 1.0)
            filled = "#" * int(share * WIDTH)
            text = f"{self._label}  [{filled:<{WIDTH}}] {share:4.0%}  "
            text += f"{_human(done)} of {_human(total)}"
        # A line that wraps cannot be drawn over; "\x1b[K" clears what a longer one left behind.
        columns = shutil.get_terminal_size().columns
        self._stream.write(f"\r{text[: columns - 1]}\x1b[K")
        self._stream.flush()


def _human(size: int) -> str:
    """A size in the unit that fits it: ``12.3 MB``."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
