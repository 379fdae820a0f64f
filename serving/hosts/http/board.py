"""What the workers of a server know of one another: a few shared words of memory.

The arbiter makes the board before it forks; each worker writes its own slot only, so no lock is
needed: an aligned word is written in one piece.
"""

import mmap
from collections.abc import Iterator
from enum import IntEnum

WORDS = 2


class Phase(IntEnum):
    """Where a worker is in its life."""

    FREE = 0
    STARTING = 1
    READY = 2
    STOPPING = 3


class Board:
    """A slot for each worker: its phase and its number of open connections."""

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
        """Say how many connections the worker has."""
        self._words[slot * WORDS + 1] = count

    def connections(self, slot: int) -> int:
        """How many connections the worker has."""
        return self._words[slot * WORDS + 1]

    def better_placed(self, slot: int) -> bool:
        """Whether another worker should take the next connection.

        A worker that cannot answer leaves it to one that can, and of those that can the one with
        the fewest connections takes it.
        """
        others = list(self._ready_except(slot))
        if self.phase(slot) is not Phase.READY:
            return bool(others)
        mine = self.connections(slot)
        return any(self.connections(other) < mine for other in others)

    def _ready_except(self, slot: int) -> Iterator[int]:
        for other in range(self._slots):
            if other != slot and self.phase(other) is Phase.READY:
                yield other
