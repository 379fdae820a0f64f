"""Metrics in CloudWatch's embedded metric format: lines of JSON that CloudWatch Logs reads.

They come from the counts of :mod:`serving.metrics`, as what was added since the line before.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from serving.metrics import SECONDS, Metrics, Snapshot

log = logging.getLogger("serving")

CLASSES = (2, 3, 4, 5)
"""First digits of statuses."""


def _print(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


class Reporter:
    """Writes what a process has counted."""

    def __init__(
        self,
        namespace: str,
        counts: Metrics,
        write: Callable[[str], object] = _print,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin to count from here; ``write`` takes lines, ``clock`` gives seconds since 1970."""
        self._namespace = namespace
        self._counts = counts
        self._write = write
        self._clock = clock
        self._last = counts.snapshot(0)

    def report(self) -> None:
        """Write a line about what was counted since the last."""
        now = self._counts.snapshot(0)
        line = document(self._namespace, int(self._clock() * 1000), self._last, now)
        self._last = now
        self._write(f"{json.dumps(line, separators=(',', ':'))}\n")

    async def run(self, seconds: float) -> None:
        """Write a line as often as that, and one when cancelled."""
        try:
            try:
                while True:
                    await asyncio.sleep(seconds)
                    self.report()
            except asyncio.CancelledError:
                self.report()
                raise
        except OSError:
            log.exception("metrics are written no more")


def document(
    namespace: str, milliseconds: int, before: Snapshot, after: Snapshot
) -> dict[str, Any]:
    """What was counted between two snapshots, at a time in milliseconds since 1970.

    Where no request was answered and no batch was run, there is no latency and no mean.
    """
    latency = _added(before["latency"], after["latency"])
    batches = _added(before["batches"], after["batches"])
    values: list[tuple[str, str, float]] = [
        (f"Requests{digit}XX", "Count", _requests(after, digit) - _requests(before, digit))
        for digit in CLASSES
    ]
    values.append(("QueueDepth", "Count", after["waiting"]))
    if sum(latency):
        values.append(("LatencyP50", "Seconds", quantile(latency, SECONDS, 0.5)))
        values.append(("LatencyP99", "Seconds", quantile(latency, SECONDS, 0.99)))
    if sum(batches):
        rows = after["batches"]["total"] - before["batches"]["total"]
        values.append(("BatchRows", "Count", rows / sum(batches)))
    metrics = [{"Name": name, "Unit": unit} for name, unit, _ in values]
    directive = {"Namespace": namespace, "Dimensions": [[]], "Metrics": metrics}
    return {
        "_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]},
        "pid": os.getpid(),
        **{name: value for name, _, value in values},
    }


def quantile(counts: Sequence[int], bounds: Sequence[float], part: float) -> float:
    """The value below which that part of the observations lies, taken to be even in each bucket.

    Of what lies beyond all bounds the last bound is all that is known.
    """
    wanted = part * sum(counts)
    below = 0
    for count, (low, high) in zip(counts, pairwise((0.0, *bounds)), strict=False):
        if count and below + count >= wanted:
            return round(low + (high - low) * (wanted - below) / count, 6)
        below += count
    return bounds[-1]


def _requests(snapshot: Snapshot, digit: int) -> int:
    requests: dict[str, int] = snapshot["requests"]
    return sum(count for status, count in requests.items() if status.startswith(str(digit)))


def _added(before: Snapshot, after: Snapshot) -> list[int]:
    pairs = zip(before["counts"], after["counts"], strict=True)
    return [new - old for old, new in pairs]
