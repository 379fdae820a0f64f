"""What the workers of a server know of one another: a few shared words of memory.

The arbiter makes the board before it forks; each worker writes its own slot only, so no lock is
needed: an aligned word is written in one piece.
"""

import mmap
import sys
from collections.abc import Iterator
from enum import IntEnum

WORDS = 3
"""Of each slot: the phase, the open connections, those being opened."""


class Phase(IntEnum):
    """Where a worker is in its life."""

    FREE = 0
    STARTING = 1
    READY = 2
    STOPPING = 3


class Board:
    """A slot for each worker: its phase and its number of connections."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._words = memoryview(mmap.mmap(-1, slots * WORDS * 4)).cast("I")

    def take(self) -> int:
        """A free slot, now STARTING. More workers than slots share the last one."""
        free = (slot for slot in range(self._slots) if self.phase(slot) is Phase.FREE)
        slot = next(free, self._slots - 1)
        self.set_phase(slot, Phase.STARTING)
        return slot

    def free(self, slot: int) -> None:
        """Give a slot back: its worker has ended."""
        self.set_phase(slot, Phase.FREE)
        self.set_connections(slot, 0)
        self.set_opening(slot, 0)

    def phase(self, slot: int) -> Phase:
        """The phase of a worker."""
        return Phase(self._words[slot * WORDS])

    def set_phase(self, slot: int, phase: Phase) -> None:
        """Say where the worker is in its life."""
        self._words[slot * WORDS] = phase

    @property
    def served(self) -> bool:
        """Whether a worker is ready, or was until it began to stop."""
        phases = map(self.phase, range(self._slots))
        return any(phase in (Phase.READY, Phase.STOPPING) for phase in phases)

    def set_connections(self, slot: int, count: int) -> None:
        """Say how many connections the worker has open."""
        self._words[slot * WORDS + 1] = count

    def set_opening(self, slot: int, count: int) -> None:
        """Say how many the worker has accepted that are not open yet, as those in a handshake."""
        self._words[slot * WORDS + 2] = count

    def connections(self, slot: int) -> int:
        """How many connections the worker has, with those that are not open yet."""
        return self._words[slot * WORDS + 1] + self._words[slot * WORDS + 2]

    def of_workers(self) -> dict[int, int]:
        """How many connections each worker that can answer has open, by its slot."""
        return {slot: self._words[slot * WORDS + 1] for slot in self._ready()}

    def surplus(self, slot: int) -> int:
        """How many connections the worker has beyond those of the one that should take the next.

        It is 0 for that one. A worker that cannot answer leaves connections to those that can, and
        of these the one with the fewest takes them.
        """
        others = [self.connections(other) for other in self._ready() if other != slot]
        if self.phase(slot) is not Phase.READY:
            return min(1, len(others))
        return max(0, self.connections(slot) - min(others, default=sys.maxsize))

    def _ready(self) -> Iterator[int]:
        return (slot for slot in range(self._slots) if self.phase(slot) is Phase.READY)
