"""What the command lines of the benchmarks share."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from benchmarks.throughput import BenchmarkError, machine

T = TypeVar("T")


def positive(text: str) -> int:
    """A whole number from 1 up, as an argument's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return int(text)


def leave(number: int, _frame: object) -> None:
    """Unwind the stack at SIGTERM as Ctrl-C does, so that no server outlives the benchmark."""
    signal.signal(number, signal.SIG_IGN)  # a second one would break off the first
    sys.exit(128 + number)


def run(
    measure: Callable[[], T],
    show: Callable[[T], str],
    missed: Callable[[T], Sequence[str]],
    *,
    check: bool,
) -> int:
    """Measure, print where it was and what came of it, and give the exit status.

    That is 1 where the benchmark failed, or where a bar was missed and ``check`` asks for that.
    """
    signal.signal(signal.SIGTERM, leave)
    try:
        facts = machine.describe([])
        results = measure()
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    print(f"\n{show(results)}\n")
    sentences = missed(results)
    for sentence in sentences:
        print(sentence)
    return 1 if check and sentences else 0
