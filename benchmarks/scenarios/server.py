"""The server of a scenario, which may be told things while it is under load."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.scenarios.scenario import Signal
from benchmarks.throughput.targets import Target, free_port, started


class Server:
    """A server on one port, through all its restarts."""

    def __init__(self, environment: dict[str, str], directory: Path, port: int = 0) -> None:
        """Choose a port if none is given; nothing runs yet."""
        self.port = port or free_port()
        self._directory = directory
        self._target = Target("serving", self._command, variables=tuple(environment.items()))
        self._running = ExitStack()
        self.pid = 0
        """Of the arbiter, once it runs."""

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> float:
        """Start it; the seconds until it answered a ping well. Raises BenchmarkError."""
        began = time.perf_counter()
        context = started(self._target, self._directory, self.port)
        self.pid = self._running.enter_context(context).pid
        return time.perf_counter() - began

    def stop(self) -> None:
        """Let it end what it has begun, and wait for its end."""
        self._running.close()

    def tell(self, name: str) -> None:
        """Send a signal; after a TERM, wait for the end and start it again."""
        if name == "TERM":
            self.stop()
            self.start()
        else:
            os.kill(self.pid, signal.Signals[f"SIG{name}"])

    @staticmethod
    def _command(port: int) -> list[str]:
        address = ["--bind", "127.0.0.1", "--port", str(port)]
        return [sys.executable, "-m", "serving.cli", "serve", *address]


class Conductor(threading.Thread):
    """Tells a server its signals when they are due, while another thread asks it."""

    def __init__(self, server: Server, signals: Sequence[Signal]) -> None:
        super().__init__(name="conductor")
        self._server = server
        self._signals = signals
        self._ended = threading.Event()
        self.error: BaseException | None = None
        """Why the server could not be told, or did not start again."""

    def run(self) -> None:
        """Tell them; returns early where the load ends before."""
        began = time.monotonic()
        try:
            for each in self._signals:
                if self._ended.wait(max(0.0, began + each.after - time.monotonic())):
                    return
                self._server.tell(each.name)
        except Exception as error:  # noqa: BLE001 - raised again where the load ends
            self.error = error

    def end(self) -> None:
        """The load has ended. Raises what went wrong."""
        self._ended.set()
        self.join()
        if self.error is not None:
            raise self.error
