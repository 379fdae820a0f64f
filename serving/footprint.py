"""What a model takes in memory, in bytes."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

from serving.machine import resident_bytes


class _MallInfo(ctypes.Structure):
    """What ``mallinfo2`` of the GNU C library gives, in bytes (malloc.h)."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks")),
        *((name, ctypes.c_size_t) for name in ("hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    ]


def _allocated() -> Callable[[], int]:
    library = ctypes.CDLL(None)
    try:
        mallinfo = library.mallinfo2
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


def give_back() -> None:
    """Return to the system what is free: the C library keeps freed memory for later."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def proportional_bytes(pid: int | str = "self") -> int:
    """Memory of a process, where a page that several share counts in parts (PSS).

    Raises:
        OSError: there is no such process.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
