"""What is made at start-up, and stays."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Do not look for garbage in what is made meanwhile: nearly all of it stays.

    To look for garbage costs time at a start, and memory later: where processes are forked from
    this one, each that looks at an object gets its own copy of the page that it is on.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
