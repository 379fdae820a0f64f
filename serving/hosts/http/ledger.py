"""What all workers of a server have counted: each writes its counts into a file of its own.

Prometheus asks one worker, whichever takes its connection, and means them all.
"""

import json
import shutil
import tempfile
from functools import reduce
from pathlib import Path
from typing import Any

from serving import metrics
from serving.machine import resident_bytes
from serving.metrics import Metrics

ENDED = "ended"
"""Name of the file with the sum of workers that have ended."""


class Ledger:
    """The counts of the workers, in a folder of the server's."""

    def __init__(self) -> None:
        """Make the folder. Called before the fork: the workers share it."""
        self._folder = Path(tempfile.mkdtemp(prefix="serving-metrics-"))

    def write(self, pid: int, counts: Metrics) -> None:
        """Put down what the worker has counted."""
        self._put(str(pid), counts.snapshot(resident_bytes()))

    def end(self, pid: int) -> None:
        """Add what a worker that has ended had counted to the sum of those before it."""
        snapshots = [self._get(name) for name in (ENDED, str(pid))]
        known = [snapshot for snapshot in snapshots if snapshot is not None]
        if known:
            self._put(ENDED, reduce(metrics.add, known))
        self._path(str(pid)).unlink(missing_ok=True)

    def exposition(self, pid: int, counts: Metrics) -> bytes:
        """The counts of all workers, for Prometheus; those of worker ``pid`` are the newest."""
        self.write(pid, counts)
        names = [path.stem for path in self._folder.glob("*.json")]
        snapshots = {name: self._get(name) for name in names}
        found = {name: snapshot for name, snapshot in snapshots.items() if snapshot is not None}
        ended = [found.pop(ENDED)] if ENDED in found else []
        return metrics.exposition(found.values(), ended)

    def close(self) -> None:
        """Remove the folder. Called once, by the process that made it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _put(self, name: str, snapshot: Any) -> None:
        draft = self._path(name).with_suffix(".draft")
        draft.write_text(json.dumps(snapshot))
        draft.replace(self._path(name))  # whole or not at all

    def _get(self, name: str) -> Any:
        try:
            return json.loads(self._path(name).read_text())
        except FileNotFoundError:  # its worker has ended since
            return None
