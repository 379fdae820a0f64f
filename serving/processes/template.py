"""The process that models' processes are forked from.

It has imported what each of them needs, and no library of models: their threads would not survive
the fork. It does nothing but fork, tell who has ended, and end with the server.
"""

import ctypes
import gc
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from serving.processes import host
from serving.processes.packets import LAYOUT, Kind, Packet, unpack

PARTING_SECONDS = 2.0
"""Time that models' processes have to end by themselves once the server has gone."""

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when its parent ends."""

OUT_OF_MEMORY_SCORE = "500"
"""Half of all memory on top of what a model's process takes, in the eyes of the kernel that looks
for what to end where memory runs out: it finds a model, not the server (proc_pid_oom_score_adj(5)).
"""


class Template:
    """Forks on request."""

    def __init__(self, control: socket.socket) -> None:
        """Serve whoever has the other end of ``control``."""
        self._control = control
        self._children: set[int] = set()
        self._alarm, self._bell = socket.socketpair()
        self._bell.setblocking(False)

    def run(self) -> socket.socket | None:
        """Work until the server has gone.

        Returns:
            Nothing in the template; in each process that is forked, its connection to the server.
        """
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._alarm, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._alarm.fileno() in ready:
                self._alarm.recv(4096)
                self._reap()
            if self._control.fileno() in ready:
                data, descriptors = self._receive()
                if not data:
                    self._part()
                    return None
                packet = unpack(data)
                if packet.kind == Kind.KILL:
                    self._kill(packet.pid)
                    continue
                connection = socket.socket(fileno=descriptors[0])
                if self._fork():
                    return connection
                connection.close()

    def _receive(self) -> tuple[bytes, list[int]]:
        """An order of the server's, and what it handed over; empty where it has gone."""
        with suppress(ConnectionResetError):  # it went before it had read all that it was told
            data, descriptors, _, _ = socket.recv_fds(
                self._control, LAYOUT.size, 1, socket.MSG_CMSG_CLOEXEC
            )
            return data, descriptors
        return b"", []

    def _fork(self) -> bool:
        """Fork; true in the new process."""
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(Packet(Kind.REFUSED, 0, error.errno or 0))
            return False
        if pid == 0:
            self._leave(parent)
            return True
        with suppress(PermissionError):  # it did so itself, and has gone on
            os.setpgid(pid, pid)
        self._children.add(pid)
        self._tell(Packet(Kind.STARTED, pid))
        return False

    def _leave(self, parent: int) -> None:
        """Become a process of its own; it ends with the template, whatever ends that."""
        self._control.close()
        self._disarm()
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("The template has ended.")
        with suppress(OSError):  # some containers may not write there
            Path("/proc/self/oom_score_adj").write_text(OUT_OF_MEMORY_SCORE)

    def _reap(self) -> None:
        """Tell who has ended."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while self._children and (found := os.waitid(os.P_ALL, 0, options)):
            pid = found.si_pid
            # What it has left behind goes with it, while its number is still its own.
            self._kill(pid)
            _, status = os.waitpid(pid, 0)
            self._children.discard(pid)
            self._tell(Packet(Kind.ENDED, pid, os.waitstatus_to_exitcode(status)))

    def _kill(self, pid: int) -> None:
        """End a process, and those of its group, as far as they are not another user's."""
        if pid in self._children:
            for kill in (os.killpg, os.kill):
                with suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)

    def _part(self) -> None:
        """End with the processes that are left."""
        limit = time.monotonic() + PARTING_SECONDS
        while self._children and (remaining := limit - time.monotonic()) > 0:
            ready, _, _ = select.select([self._alarm], [], [], remaining)
            if ready:
                self._alarm.recv(4096)
                self._reap()
        for pid in self._children:
            self._kill(pid)
        for pid in self._children:
            os.waitpid(pid, 0)
        self._disarm()

    def _disarm(self) -> None:
        """Hear of no more ends."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._alarm.close()
        self._bell.close()

    def _tell(self, packet: Packet) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # seen when it is next read
            self._control.send(packet.pack())


def main(descriptor: int) -> None:
    """Be the template, and later each of the processes that are forked from it.

    Args:
        descriptor: The template's end of the connection to the server.
    """
    # The server says when to end. Not SIG_IGN, which what a script runs would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _nothing)
    gc.collect()
    gc.freeze()  # a collection would write to the pages that are shared
    connection = Template(socket.socket(fileno=descriptor)).run()
    if connection is not None:
        host.run(connection)


def _nothing(*_arguments: object) -> None:
    """Take a signal."""
