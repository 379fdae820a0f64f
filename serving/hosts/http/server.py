"""The HTTP server: gunicorn as process manager, our workers, and the settings between them."""

import importlib
import logging
import math
from pathlib import Path
from typing import Any, cast

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger

from serving import engines, neuroncores, runtime
from serving.hosts.http import tls
from serving.hosts.http.board import Board, Phase
from serving.hosts.http.ledger import Ledger
from serving.hosts.http.registrations import Registrations
from serving.hosts.http.worker import HttpWorker
from serving.settings import Settings

log = logging.getLogger("serving")

SPARE_SLOTS = 8
"""Slots beyond two for each worker: at SIGHUP all successors start while their workers drain."""

SILENT_SECONDS = 30
"""Least time without a sign of life after which a worker is killed. Signs come every second, but a
busy machine or the import of a large library delays them."""

GRACE_SECONDS = 2.0
"""What the arbiter gives workers beyond their own limit for draining."""


class Log(Logger):
    """gunicorn's messages through the process's own logging, one format for all."""

    def setup(self, cfg: Any) -> None:  # noqa: ARG002
        """Leave handlers and levels as they are."""
        self.error_log = logging.getLogger("serving.gunicorn")
        self.access_log = logging.getLogger("serving.access")


class Server(BaseApplication):
    """A gunicorn application that serves models over HTTP."""

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        """Make it for a model directory, or for many models, which come later."""
        self.settings = settings
        self.folder = folder
        slots = 2 * settings.workers + SPARE_SLOTS
        self.board = Board(slots)
        self.ledger = Ledger(slots)
        self.registrations = Registrations()
        # The workers share what is imported before the fork. A server starts sooner without the
        # Runtime API, which few ask for.
        if folder is not None:
            engines.share(folder, settings)
        if runtime.asked_for(settings):
            importlib.import_module("serving.runtime.front")
        super().__init__()
        self.tls = tls.source(self.cfg, settings)
        """Gives what new connections are encrypted with; None: they are not."""

    def load_config(self) -> None:
        """Gunicorn's settings from ours."""
        settings = self.settings
        values = {
            "bind": f"{_bracketed(settings.bind)}:{settings.port}",
            "workers": settings.workers,
            "worker_class": f"{HttpWorker.__module__}.{HttpWorker.__qualname__}",
            # A worker that shows no sign of life: a script holds the interpreter's lock.
            "timeout": max(SILENT_SECONDS, math.ceil(settings.request_timeout)),
            "graceful_timeout": int(settings.drain_timeout + GRACE_SECONDS),
            "backlog": 2048,
            "proc_name": "serving",
            "logger_class": Log,
            "control_socket_disable": True,  # the images run on a read-only file system
            "pre_fork": _pre_fork,
            "child_exit": _child_exit,
            **tls.options(settings),
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Nothing: the workers call the core, not a WSGI application."""

    def run(self) -> None:
        """Serve until told to stop. Ends the process."""
        WorkersArbiter(self).run()


class WorkersArbiter(Arbiter):
    """gunicorn's arbiter, which replaces a worker however it ended, unless none has ever served."""

    # The statuses that gunicorn's own workers end with if they cannot start, at which the arbiter
    # ends the server. A script may end its process with any status; none is this one.
    WORKER_BOOT_ERROR = APP_LOAD_ERROR = -1

    served = False
    """A worker has had its model ready."""
    stillborn = False
    """A worker has ended before any was ready."""

    def manage_workers(self) -> None:
        """Start and stop workers, so that there are as many as there should be.

        Raises:
            HaltServer: the first ones ended while they loaded the model, as would all after them.
        """
        if self.stillborn:
            raise HaltServer("A worker ended while it loaded the model.", 1)
        surplus = len(self.WORKERS) > self.num_workers
        if not (surplus and self._overlapping) or self._succeeded():
            super().manage_workers()

    def reload(self) -> None:
        """Replace all workers, at SIGHUP."""
        if not self._overlapping:
            super().reload()
            return
        log.info("the workers are replaced as soon as their successors are ready")
        for _ in range(self.num_workers):
            self.spawn_worker()  # `manage_workers` ends the old ones, once it may

    @property
    def _overlapping(self) -> bool:
        """Whether a worker and its successor may be there at once.

        Two owners of a registry would each miss what the other is told, and a NeuronCore is its
        owner's until that ends.
        """
        return not (_server(self).settings.many or neuroncores.cores())

    def _succeeded(self) -> bool:
        """Whether the youngest workers, as many as there should be, can answer.

        Until then the older ones go on: those of a model that cannot be loaded never can.
        """
        workers = cast("list[HttpWorker]", list(self.WORKERS.values()))
        youngest = sorted(workers, key=lambda worker: worker.age)[-self.num_workers :]
        board = _server(self).board
        return all(board.phase(worker.slot) is Phase.READY for worker in youngest)


def _pre_fork(arbiter: Arbiter, worker: HttpWorker) -> None:
    worker.slot = _server(arbiter).board.take()


def _child_exit(arbiter: WorkersArbiter, worker: HttpWorker) -> None:
    server = _server(arbiter)
    arbiter.served = arbiter.served or server.board.served
    arbiter.stillborn = not arbiter.served
    server.board.free(worker.slot)
    server.ledger.end(worker.slot)


def _server(arbiter: Arbiter) -> Server:
    return cast("Server", arbiter.app)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
