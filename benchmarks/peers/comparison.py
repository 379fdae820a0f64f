"""A comparison under way: what it works with, what it has found, and how long it will take."""

import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.peers import environments
from benchmarks.peers.peer import Peer
from benchmarks.peers.results import Failure, Results
from benchmarks.peers.starting import Setup, running
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import Started

LAST_LINES = 12
"""Of a log, in a report."""


class Comparison:
    """Its results grow; what fails is noted and does not end it."""

    def __init__(self, setup: Setup, logs: Path, planned: float) -> None:
        """Begin.

        Args:
            setup: The models, and a folder to work in.
            logs: Where the logs of those that fail are kept.
            planned: Seconds that all steps may take together.
        """
        self.setup = setup
        self.results = Results()
        self._logs = logs
        self._pythons: dict[str, Path] = {}
        self._began = time.monotonic()
        self._planned, self._done = planned, 0.0

    def make_environments(self, peers: Sequence[Peer]) -> None:
        """Make those that are not there, which takes minutes and is not measured."""
        for peer in peers:
            try:
                self._pythons[peer.name] = environments.python_of(peer)
            except BenchmarkError as error:
                self.failed(peer, tuple(peer.requests), error)
        self._began = time.monotonic()

    def can_start(self, peer: Peer) -> bool:
        """Whether it has its environment."""
        return peer.name in self._pythons

    def start(self, peer: Peer, models: Sequence[str]) -> AbstractContextManager[Started]:
        """Start a peer that serves some models; it ends with the context. Raises BenchmarkError."""
        return running(peer, self._pythons[peer.name], self.setup, models)

    def failed(self, peer: Peer, what: Sequence[str], error: BenchmarkError) -> None:
        """Note that a peer could not do something."""
        log = self._keep_log(peer)
        self.results.failures.append(Failure(peer.title, tuple(what), _short(str(error)), log))
        self.say(f"{peer.title} FAILED: {error}")

    def step(self, planned: float) -> None:
        """So much of what was planned is done, or left out."""
        self._done += planned

    def say(self, text: str) -> None:
        """Tell whoever waits, with the time that is left."""
        elapsed = time.monotonic() - self._began
        pace = elapsed / self._done if self._done else 1.0
        minutes = max(0.0, self._planned - self._done) * pace / 60
        print(f"{minutes:3.0f} min left | {text}", file=sys.stderr, flush=True)

    def _keep_log(self, peer: Peer) -> str:
        """The path of a copy of the log of its last start; empty if there is none."""
        logs = (self.setup.work / peer.name).glob(f"*/{peer.name}.log")
        last = max(logs, key=lambda log: log.stat().st_mtime, default=None)
        if last is None:
            return ""
        self._logs.mkdir(parents=True, exist_ok=True)
        return str(shutil.copy(last, self._logs))


def _short(text: str) -> str:
    """The first line, and the last ones of what may be a long log."""
    first, *others = text.strip().splitlines()
    return "\n".join([first, *others[-LAST_LINES:]])
