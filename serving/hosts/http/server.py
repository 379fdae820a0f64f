"""The HTTP server: gunicorn as process manager, our workers, and the settings between them."""

import logging
from pathlib import Path
from typing import Any, cast

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from serving.hosts.http.board import Board
from serving.hosts.http.ledger import Ledger
from serving.hosts.http.worker import HttpWorker
from serving.settings import Settings

SPARE_SLOTS = 8
"""Slots on the board beyond the workers: a worker's successor starts while it still drains."""

GRACE_SECONDS = 2.0
"""What the arbiter gives workers beyond their own limit for draining."""


class Log(Logger):
    """gunicorn's messages through the process's own logging, one format for all."""

    def setup(self, cfg: Any) -> None:  # noqa: ARG002
        """Leave handlers and levels as they are."""
        self.error_log = logging.getLogger("serving.gunicorn")
        self.access_log = logging.getLogger("serving.access")


class Server(BaseApplication):
    """A gunicorn application that serves a model directory over HTTP."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.board = Board(settings.workers + SPARE_SLOTS)
        self.ledger = Ledger()
        super().__init__()

    def load_config(self) -> None:
        """Gunicorn's settings from ours."""
        settings = self.settings
        values = {
            "bind": f"{_bracketed(settings.bind)}:{settings.port}",
            "workers": settings.workers,
            "worker_class": f"{HttpWorker.__module__}.{HttpWorker.__qualname__}",
            "graceful_timeout": int(settings.drain_timeout + GRACE_SECONDS),
            "backlog": 2048,
            "proc_name": "serving",
            "logger_class": Log,
            "control_socket_disable": True,  # the images run on a read-only file system
            "pre_fork": _pre_fork,
            "child_exit": _child_exit,
            "on_exit": _on_exit,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Nothing: the workers call the core, not a WSGI application."""


def run(settings: Settings, folder: Path) -> None:
    """Serve a model directory until told to stop. Ends the process."""
    Server(settings, folder).run()


def _pre_fork(arbiter: Arbiter, worker: HttpWorker) -> None:
    worker.slot = _server(arbiter).board.take()


def _child_exit(arbiter: Arbiter, worker: HttpWorker) -> None:
    server = _server(arbiter)
    server.board.free(worker.slot)
    server.ledger.end(int(worker.pid))


def _on_exit(arbiter: Arbiter) -> None:
    _server(arbiter).ledger.close()


def _server(arbiter: Arbiter) -> Server:
    return cast("Server", arbiter.app)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
