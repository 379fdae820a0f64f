"""How much memory of one kind models may take, and how much they do."""

from pathlib import Path

FIRST_GUESS = 2.0
"""Bytes in memory for one on disk, before any model was measured."""

WEIGHT = 0.2
"""Of the latest model in that ratio."""

LARGEST_RATIO = 10.0
"""More is no matter of size: a script of some lines takes megabytes, and says nothing of others."""

MOST_KNOWN = 100_000
"""Folders whose models' sizes are remembered; each new version of a model has its own."""


class Budget:
    """Bytes for models: a limit, and what is taken of it."""

    def __init__(self, limit: int, guess: float = FIRST_GUESS) -> None:
        """Make one of ``limit`` bytes; at first, ``guess`` are expected for each on disk."""
        self.limit = limit
        self.used = 0
        """Of models that are loaded as measured, of those that are loading as expected."""
        self._ratio = guess
        self._measured: dict[Path, int] = {}

    @property
    def exceeded(self) -> bool:
        """Whether more is taken than there is."""
        return self.used > self.limit

    def expect(self, folder: Path, size: int) -> int:
        """Bytes that the model in a folder of that ``size`` will take.

        What it took the last time, or as much for each byte as others did.
        """
        return self._measured.get(folder, int(size * self._ratio))

    def learn(self, folder: Path, size: int, measured: int) -> None:
        """A model took so many bytes."""
        if len(self._measured) >= MOST_KNOWN:
            self._measured.clear()
        self._measured[folder] = measured
        if size:
            self._ratio += WEIGHT * (min(measured / size, LARGEST_RATIO) - self._ratio)
