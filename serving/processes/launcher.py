"""The server's hold on the template: starts it, has processes forked, hears of their ends."""

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from typing import Protocol, cast

from serving.processes import packets
from serving.processes.packets import LAYOUT, Kind, Packet

BOOT = """\
import atexit, os, sys
failed = True
atexit.register(lambda: os._exit(failed))
atexit.register(sys.stdout.flush)
sys.path[:] = {path!r}
from serving.processes.template import main
main({descriptor})
failed = False
"""
"""What the template's interpreter runs. It imports from where the server does.

What is registered first runs last: after all that a script may have registered, a process ends
without taking its objects apart, which would write to every page that it shares.
"""

CLOSING_SECONDS = 5.0
"""Longest wait for the template's end, which waits for those of the models' processes."""


class Owner(Protocol):
    """What a process was started for."""

    def started(self, pid: int) -> None:
        """It runs."""

    def close(self) -> None:
        """Let it end: all are ended."""

    def ended(self, how: str) -> None:
        """It has ended, or could not be started: "ended with exit status 3"."""


class Launcher:
    """Starts and ends processes. Called on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._template: subprocess.Popen[bytes] | None = None
        self._control = cast("socket.socket", None)  # while there is no template
        self._orders: deque[tuple[Packet, socket.socket | None]] = deque()
        self._waiting: deque[Owner] = deque()  # in the order of what was asked for
        self._running: dict[int, Owner] = {}

    @property
    def pid(self) -> int:
        """The template's; 0 while there is none."""
        return self._template.pid if self._template is not None else 0

    def start(self) -> None:
        """Start the template, unless it runs, so that the first model need not wait for it.

        Raises:
            OSError: that is not possible.
        """
        if self._template is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        boot = BOOT.format(path=sys.path, descriptor=theirs.fileno())
        with theirs:
            try:
                self._template = subprocess.Popen(  # noqa: S603 - our own code
                    [sys.executable, "-c", boot],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # an interrupt from the terminal is for the server
                )
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._control = ours
        self._loop.add_reader(ours.fileno(), self._hear)

    def launch(self, connection: socket.socket, owner: Owner) -> None:
        """Have a process forked that serves ``connection``, which is handed over.

        Raises:
            OSError: the template cannot be started.
        """
        self.start()
        self._waiting.append(owner)
        self._order(Packet(Kind.FORK), connection)

    def kill(self, pid: int) -> None:
        """End a process that was started here, and all that it started; its owner hears of it."""
        if pid in self._running:
            self._order(Packet(Kind.KILL, pid))

    async def close(self) -> None:
        """End the template and all processes; returns when they have ended.

        They have a little time to end by themselves.
        """
        template = self._template
        if template is None:
            return
        for owner in (*self._running.values(), *self._waiting):
            owner.close()
        self._disconnect()
        try:
            await asyncio.to_thread(template.wait, CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            template.kill()  # and the processes with it
        self._forget("ended with the server")

    def _order(self, packet: Packet, connection: socket.socket | None = None) -> None:
        self._orders.append((packet, connection))
        if len(self._orders) == 1:
            self._send()

    def _send(self) -> None:
        control = self._control
        while self._orders:
            packet, connection = self._orders[0]
            handed = [connection.fileno()] if connection is not None else []
            try:
                socket.send_fds(control, [packet.pack()], handed)
            except BlockingIOError:  # the template is busy
                self._loop.add_writer(control.fileno(), self._send)
                return
            except OSError:  # it has ended, as is heard in a moment
                return
            self._orders.popleft()
            if connection is not None:
                connection.close()
        self._loop.remove_writer(control.fileno())

    def _hear(self) -> None:
        data = b""
        try:
            data = self._control.recv(LAYOUT.size)
        except BlockingIOError:
            return
        except ConnectionResetError:
            pass
        if not data:
            self._disconnect()
            self._forget("ended with the process that it was forked from")
            return
        packet = packets.unpack(data)
        if packet.kind == Kind.STARTED:
            owner = self._running[packet.pid] = self._waiting.popleft()
            owner.started(packet.pid)
        elif packet.kind == Kind.REFUSED:
            self._waiting.popleft().ended(f"could not be started: {os.strerror(packet.detail)}")
        else:
            self._running.pop(packet.pid).ended(packets.describe(packet.detail))

    def _disconnect(self) -> None:
        self._loop.remove_reader(self._control.fileno())
        self._loop.remove_writer(self._control.fileno())
        self._control.close()

    def _forget(self, how: str) -> None:
        """The template has ended, and all processes with it."""
        if self._template is not None:
            self._template.wait()
            self._template = None
        for _, connection in self._orders:
            if connection is not None:
                connection.close()
        self._orders.clear()
        owners = [*self._running.values(), *self._waiting]
        self._running.clear()
        self._waiting.clear()
        for owner in owners:
            owner.ended(how)
