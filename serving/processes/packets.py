"""What the server and the template say to each other, a packet each (SOCK_SEQPACKET)."""

import signal
import struct
from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What a packet says."""

    FORK = 1
    """To the template: fork a process; its end of a pair of sockets comes with the packet."""
    KILL = 2
    """To the template: end a process and all that it started."""
    STARTED = 3
    """A process was forked. These and refusals come in the order of the packets that asked."""
    REFUSED = 4
    """A process could not be forked; ``detail`` is the error's number."""
    ENDED = 5
    """A process has ended and its memory is free; ``detail`` is its status, as of ``waitpid``."""


class Packet(NamedTuple):
    """One packet."""

    kind: int
    pid: int = 0
    detail: int = 0

    def pack(self) -> bytes:
        """The bytes."""
        return LAYOUT.pack(*self)


LAYOUT = struct.Struct("<Bii")


def unpack(data: bytes) -> Packet:
    """The packet in those bytes."""
    return Packet(*LAYOUT.unpack(data))


def describe(status: int) -> str:
    """How a process ended, of its exit status: negative for a signal, as in ``subprocess``."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time signal
        name = f"signal {-status}"
    hint = ", as is done where memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"
