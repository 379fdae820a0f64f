"""A script that doubles a number, and does whatever else it is told: what scripts do wrong."""

import ctypes
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

MIB = 2**20
SPARE = 64 * MIB
"""Memory that the process may still take when it is about to take too much, in bytes."""

LINE = "." * (MIB - 1)
"""With its end, a MiB of what the test's reader of the log counts and drops."""

leaked: list[bytes] = []


class Unprintable(Exception):
    """An error that fails once more when somebody looks at it."""

    def __str__(self) -> str:
        raise self


def exit_at_once() -> NoReturn:
    # The status with which gunicorn's own workers say that they cannot start.
    os._exit(3)


def exit_politely() -> NoReturn:
    sys.exit(3)


def crash() -> None:
    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def take_too_much() -> str:
    limit_memory()
    try:
        return str(len(bytes(1024 * MIB)))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def leak() -> NoReturn:
    limit_memory()
    while True:
        leaked.append(bytes(16 * MIB))


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def print_a_gigabyte() -> str:
    for _ in range(1024):
        print(LINE)
    sys.stdout.flush()
    return "printed"


def never_return() -> None:
    threading.Event().wait()


def recurse() -> None:
    recurse()


def raise_what_cannot_be_printed() -> NoReturn:
    raise Unprintable


def answer_nothing() -> None:
    return None


def stream_for_ever() -> Iterator[str]:
    try:
        while True:
            yield "more"
    finally:
        print("the generator has ended", file=sys.stderr, flush=True)


def stream_and_fail() -> Iterator[str]:
    yield "some"
    raise ValueError("in the middle")


DEEDS: dict[str, Callable[[], Any]] = {
    deed.__name__.replace("_", " "): deed
    for deed in (
        *(exit_at_once, exit_politely, crash, be_killed, take_too_much, leak, print_a_gigabyte),
        *(never_return, recurse, raise_what_cannot_be_printed, answer_nothing),
        *(stream_for_ever, stream_and_fail),
    )
}


def model_fn(model_dir: str) -> None:
    """There is no model."""


def transform_fn(model: None, data: bytes, content_type: str, accept: str) -> Any:
    text = data.decode()
    return str(2 * int(text)) if re.fullmatch(r"\d+", text) else DEEDS[text]()
