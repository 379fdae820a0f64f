"""What a process and those that it started take in memory, and whether they use a GPU."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from serving import footprint

GPUS = "/dev/nvidia"
"""Begins the names of GPUs' device files."""


def of(pid: int) -> int:
    """Bytes of a process and its descendants; pages that several share count in parts.

    It reads the page tables, which takes around a millisecond for each 100 MB.
    """
    return sum(map(_bytes, tree(pid)))


def on_gpu(pid: int) -> bool:
    """Whether a process or a descendant has a GPU open, as whoever uses CUDA has."""
    return any(name.startswith(GPUS) for each in tree(pid) for name in _files(each))


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    with suppress(OSError):  # it has ended, or the kernel does not say
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from tree(int(child))


def _files(pid: int) -> Iterator[str]:
    """What a process has open."""
    with suppress(OSError):  # it has ended
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # it was closed
                yield str(descriptor.readlink())


def _bytes(pid: int) -> int:
    with suppress(OSError):
        return footprint.proportional_bytes(pid)
    with suppress(OSError):  # a kernel without smaps_rollup
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0  # it has ended
