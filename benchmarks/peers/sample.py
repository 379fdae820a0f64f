"""What is seen of a server's processes in the midst of a load."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from serving.processes import memory

ESTABLISHED = "01"
"""proc_pid_net(5), and the kernel's net/tcp_states.h."""


class Sample(NamedTuple):
    """A server in the midst of a load."""

    memory: int
    """Bytes of all its processes; pages that several share count in parts."""
    imbalance: float
    """How far the connections of a process are from an even share, at most, as a part of it."""


def take(pid: int, port: int, processes: int, after: float) -> Sample:
    """Look at a server's processes, of which so many take connections, after so many seconds."""
    time.sleep(after)
    return Sample(memory.of(pid), imbalance(connections(pid, port), processes))


def imbalance(counts: list[int], processes: int) -> float:
    """The distance to an even share, where processes that have none count; 0: all are alike."""
    even = sum(counts) / max(1, processes)
    if not even:
        return 0.0
    none = [0] * (processes - len(counts))
    return max(abs(count - even) for count in [*counts, *none]) / even


def connections(pid: int, port: int) -> list[int]:
    """How many connections to a port each process of a server has, of those that have any."""
    wanted = set(_sockets(port))
    counts = [sum(name in wanted for name in _open(each)) for each in memory.tree(pid)]
    return [count for count in counts if count]


def _sockets(port: int) -> Iterator[str]:
    """The sockets that are the server's end of a connection, as /proc names them."""
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            fields = line.split()
            local, state, inode = fields[1], fields[3], fields[9]
            if state == ESTABLISHED and int(local.rpartition(":")[2], 16) == port:
                yield f"socket:[{inode}]"


def _open(pid: int) -> Iterator[str]:
    with suppress(OSError):  # it has ended
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # it was closed
                yield str(descriptor.readlink())
