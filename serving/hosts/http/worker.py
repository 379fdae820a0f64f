"""The gunicorn worker: an event loop, the application, and a life from fork to drain."""

import asyncio
import logging
import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvloop
from gunicorn.workers.base import Worker

from serving import neuroncores
from serving.entry import State
from serving.hosts.http import wire
from serving.hosts.http.board import Phase
from serving.hosts.http.connection import Connection
from serving.hosts.http.ledger import Ledger
from serving.hosts.http.listener import Listener
from serving.hosts.http.shared import Limits, Shared
from serving.hosts.site import Site
from serving.machine import take_gpu
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.hosts.http.server import Server

log = logging.getLogger("serving")

TICK_SECONDS = 1.0
"""Time between two looks at the time limits, and between two signs of life for the arbiter."""


class HttpWorker(Worker):
    """Serves the application of its gunicorn application object, see server.py."""

    slot = 0
    """Place on the board, given by the arbiter before the fork."""

    def load_wsgi(self) -> None:
        """There is none: the worker calls the core."""

    def init_signals(self) -> None:
        """Leave the signals to the event loop, but for the arbiter's abort of a hung worker."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # asks to reopen log files; there are none
        signal.signal(signal.SIGABRT, self.handle_abort)

    def run(self) -> None:
        """Serve until told to stop."""
        if cast("Server", self.app).settings.workers > 1:
            take_gpu(self.slot)
            neuroncores.take(self.slot)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._stop.set)
        server = cast("Server", self.app)
        settings, board = server.settings, server.board

        site = Site(
            settings,
            loop,
            told=self._told,
            keep=server.registrations.keep,
            exposition=partial(server.ledger.exposition, self.slot, connections=board.of_workers),
        )
        application = site.application
        shared = Shared(
            application,
            _limits(settings),
            loop,
            partial(board.set_connections, self.slot),
            handle=site.handle,
            access_log=settings.access_log,
        )
        listener = Listener(
            self.sockets, lambda: Connection(shared), loop, board, self.slot, server.tls
        )
        ticks = loop.create_task(self._tick(shared, server.ledger))
        site.open(server.folder, server.registrations.read())

        await self._stop.wait()
        board.set_phase(self.slot, Phase.STOPPING)
        end = time.monotonic() + settings.drain_timeout
        drained = loop.create_task(site.drain())
        await self._drain(shared, listener, end)
        await asyncio.wait({drained}, timeout=max(0.0, end - time.monotonic()))
        ticks.cancel()
        server.ledger.write(self.slot, application.metrics)
        await site.close()

    def _told(self, state: State, reason: str) -> None:
        if state is State.READY and not self._stop.is_set():
            cast("Server", self.app).board.set_phase(self.slot, Phase.READY)
        elif state is State.BROKEN:
            log.error("this worker stops, to be replaced: %s", reason)
            self._stop.set()

    async def _tick(self, shared: Shared, ledger: Ledger) -> None:
        while True:
            self.notify()
            ledger.write(self.slot, shared.application.metrics)
            shared.date = wire.date()
            now = time.monotonic()
            for connection in list(shared.connections):
                connection.sweep(now)
            if self.ppid != os.getppid():
                log.error("the arbiter is gone; this worker stops")
                self._stop.set()
            await asyncio.sleep(TICK_SECONDS)

    async def _drain(self, shared: Shared, listener: Listener, deadline: float) -> None:
        """Let requests finish; connections opened meanwhile are told that the server stops."""
        log.info("stopping; %d connections are open", len(shared.connections))
        await _closed(set(shared.connections), shared, deadline)
        await listener.close()
        await _closed(shared.connections, shared, deadline)
        busy = sum(connection.busy for connection in shared.connections)
        if busy:
            log.warning("stopping with %d requests unfinished", busy)


async def _closed(connections: set[Any], shared: Shared, deadline: float) -> None:
    """Drain all connections until those given are closed, or time is over."""
    while connections & shared.connections and (now := time.monotonic()) < deadline:
        for connection in list(shared.connections):
            connection.drain(now)
        await asyncio.sleep(0.02)


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.max_head,
        settings.max_body,
        settings.request_timeout,
        settings.receive_timeout,
        settings.idle_timeout,
    )
