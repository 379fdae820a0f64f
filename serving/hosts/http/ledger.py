"""What all workers of a server have counted: each writes its counts into a place of its own.

Prometheus asks one worker, whichever takes its connection, and means them all. The places are in a
file in memory that has no path: it ends with the server's last process, in whatever way that ends.
"""

import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from serving import metrics
from serving.machine import resident_bytes
from serving.metrics import Metrics

ROOM = 1 << 24
"""Bytes from one place to the next. Only what is written takes memory."""

HEAD = struct.Struct("<II")
"""Length and checksum of what is in a place."""

TRIES = 5
"""How often a place is read that is being written meanwhile."""


class Ledger:
    """The counts of the workers, by their slots on the board."""

    def __init__(self, slots: int) -> None:
        """Make it for so many slots. Called before the fork: the workers share it."""
        self._file = os.memfd_create("serving-metrics")
        self._slots = range(slots)
        self._ended = slots  # the place for the sum of workers that have ended

    def write(self, slot: int, counts: Metrics) -> None:
        """Put down what the worker has counted."""
        self._put(slot, counts.snapshot(resident_bytes()))

    def end(self, slot: int) -> None:
        """Add what a worker that has ended had counted to the sum of those before it."""
        snapshots = [self._get(place) for place in (self._ended, slot)]
        known = [snapshot for snapshot in snapshots if snapshot is not None]
        if known:
            self._put(self._ended, reduce(metrics.add, known))
        os.pwrite(self._file, bytes(HEAD.size), slot * ROOM)

    def exposition(
        self, slot: int, counts: Metrics, connections: Callable[[], Mapping[int, int]] = dict
    ) -> bytes:
        """The counts of all workers, for Prometheus; those of the worker in ``slot`` are newest.

        ``connections`` tells how many each worker has, by its slot.
        """
        self.write(slot, counts)
        running = [self._get(each) for each in self._slots]
        ended = self._get(self._ended)
        return metrics.exposition(filter(None, running), filter(None, [ended]), connections())

    def _put(self, place: int, snapshot: Any) -> None:
        content = json.dumps(snapshot).encode()
        head = HEAD.pack(len(content), zlib.crc32(content))
        os.pwrite(self._file, head + content, place * ROOM)

    def _get(self, place: int) -> Any:
        """The snapshot in a place; None where there is none."""
        for _ in range(TRIES):
            head = os.pread(self._file, HEAD.size, place * ROOM)
            length, checksum = HEAD.unpack(head.ljust(HEAD.size, b"\0"))
            content = os.pread(self._file, min(length, ROOM), place * ROOM + HEAD.size)
            if not length:
                return None
            if zlib.crc32(content) == checksum:
                return json.loads(content)
        return None
