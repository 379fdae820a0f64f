"""What a model takes in memory, in bytes."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

from serving.machine import resident_bytes

M_ARENA_MAX = -8
"""Of mallopt(3): the most heaps, which the library calls arenas."""


class _MallInfo(ctypes.Structure):
    """What ``mallinfo2`` of the GNU C library gives, in bytes (malloc.h)."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks")),
        *((name, ctypes.c_size_t) for name in ("hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    ]


_library = ctypes.CDLL(None)  # each has classes of its own, which only a collection frees


def _allocated() -> Callable[[], int]:
    try:
        mallinfo = _library.mallinfo2
    except AttributeError:  # another C library, or one before glibc 2.33
        return resident_bytes
    mallinfo.restype = _MallInfo

    def allocated() -> int:
        info = mallinfo()
        return int(info.uordblks + info.hblkhd)

    return allocated


in_use: Callable[[], int] = _allocated()
"""Bytes that this process has allocated and not freed.

Unlike resident memory it tells what a load took though the load found room that others had left.
"""


class Meter:
    """What loads take of this process's memory, though models leave meanwhile."""

    def __init__(self) -> None:
        self._left = 0

    def read(self) -> int:
        """Bytes that would be in use if no model had left; the growth of that is what loads take.

        What a model takes later than when it is loaded is not seen.
        """
        return in_use() + self._left

    def leaves(self, size: int) -> None:
        """A model leaves that had taken so many bytes. Called on the event loop."""
        self._left += size


meter = Meter()
"""This process's."""


def use_one_heap() -> None:
    """Have all threads allocate from one heap; called before there are any.

    Of the heaps that the GNU C library makes for threads it gives back what is free within, but not
    the end, which may be tens of megabytes of a model that has left.
    """
    mallopt = getattr(_library, "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


caches: list[Callable[[], None]] = []
"""Libraries' functions that give back what they keep of the GPU's memory for later."""


def empty_caches() -> None:
    """Return what is free of the GPU's memory: another library or process cannot have it else."""
    for empty in caches:
        empty()


def give_back() -> None:
    """Return to the system what is free: the C library keeps freed memory for later.

    A model is free as soon as nobody holds it. Only what is left of a load that failed may have to
    be collected, which is young: to look at all objects takes tenths of a second with PyTorch, in
    which nothing else runs.
    """
    gc.collect(1)
    empty_caches()
    trim = getattr(_library, "malloc_trim", None)
    if trim is not None:
        trim(0)


def proportional_bytes(pid: int | str = "self") -> int:
    """Memory of a process, where a page that several share counts in parts (PSS).

    Raises:
        OSError: there is no such process.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
