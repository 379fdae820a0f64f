"""What the command lines of the benchmarks share."""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from benchmarks.throughput import BenchmarkError, machine

T = TypeVar("T")


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
    # SIGTERM unwinds the stack like Ctrl-C does, so that no server outlives the benchmark.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
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
