"""Connections spread evenly over the workers.

The workers share one listening socket. Left to the kernel, the worker that is awake takes all of a
burst of connections; a socket for each worker (SO_REUSEPORT) deals them out by a hash, unevenly for
the few long connections that load balancers keep, and loses those dealt to a worker that dies. So a
worker takes few connections at a time, and leaves them to a better placed one for a moment.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from serving.hosts.http.board import Board, Phase

log = logging.getLogger("serving")

DEFER_SECONDS = 0.003
"""How long a better placed worker has to take a connection before this one does, for each that it
has less. It may be waiting for a CPU, or in the midst of a prediction."""

MOST_DEFER_SECONDS = 0.03
"""The longest of these times: the other may hang, and clients wait."""

SHARE = 8
"""A worker takes at once as many connections as this part of those it has, and one at least: few
are dealt out one by one, and a thousand do not wait for a thousand turns of a busy loop."""

EXHAUSTED_SECONDS = 0.5
"""Pause after accept failed for want of file descriptors or memory."""

HANDSHAKE_SECONDS = 10.0
"""How long a client may take to agree on the keys of TLS."""

FAREWELL_SECONDS = 60.0
"""How long a client may take for what is left to it of a TLS connection that is closed. In the end
the time limits of `Connection` decide; this is beyond those."""

PARTING_SECONDS = 0.5
"""How long handshakes may go on after the listener was closed."""


class Listener:
    """Accepts connections on the worker's sockets."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        factory: Callable[[], asyncio.Protocol],
        loop: asyncio.AbstractEventLoop,
        board: Board,
        slot: int,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._sockets = tuple(sockets)
        self._factory = factory
        self._loop = loop
        self._board = board
        self._slot = slot
        self._tls = tls
        self._tasks: set[asyncio.Task[object]] = set()
        self._open = True
        for sock in self._sockets:
            sock.setblocking(False)
            self._watch(sock)

    async def close(self) -> None:
        """Accept no more; what was accepted is open when this returns."""
        self._open = False
        for sock in self._sockets:
            self._loop.remove_reader(sock)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=PARTING_SECONDS)
            for task in late:
                task.cancel()

    def _watch(self, sock: socket.socket) -> None:
        if self._open:
            self._loop.add_reader(sock, self._ready, sock)

    def _ready(self, sock: socket.socket) -> None:
        surplus = self._board.surplus(self._slot)
        if surplus:
            self._loop.remove_reader(sock)
            pause = min(surplus * DEFER_SECONDS, MOST_DEFER_SECONDS)
            self._loop.call_later(pause, self._deferred, sock)
        else:
            self._accept_some(sock)

    def _deferred(self, sock: socket.socket) -> None:
        if self._open:
            self._watch(sock)
            # A worker that cannot answer yet goes on waiting for one that can.
            if self._board.phase(self._slot) is Phase.READY:
                self._accept_some(sock)

    def _accept_some(self, sock: socket.socket) -> None:
        for _ in range(1 + self._board.connections(self._slot) // SHARE):
            if not self._accept(sock):
                return

    def _accept(self, sock: socket.socket) -> bool:
        try:
            client, _ = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another worker was quicker, or the client has left
        except OSError as error:
            log.warning("cannot accept connections: %s", error)
            self._loop.remove_reader(sock)
            self._loop.call_later(EXHAUSTED_SECONDS, self._watch, sock)
            return False
        client.setblocking(False)
        task = self._loop.create_task(self._connect(client))
        self._tasks.add(task)
        self._board.set_opening(self._slot, len(self._tasks))
        task.add_done_callback(self._connected)
        return True

    def _connect(self, client: socket.socket) -> Coroutine[Any, Any, object]:
        if self._tls is None:
            return self._loop.connect_accepted_socket(self._factory, client)
        return self._loop.connect_accepted_socket(
            self._factory,
            client,
            ssl=self._tls(),
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=FAREWELL_SECONDS,
        )

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._board.set_opening(self._slot, len(self._tasks))
        # Whoever looks whether the port is open leaves without a handshake: that is no news.
        if not task.cancelled() and task.exception() is not None:
            log.debug("a client's connection was not made: %s", task.exception())
