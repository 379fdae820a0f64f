"""Room for models: what they take, who leaves when it does not suffice, and memory given back."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from serving import footprint
from serving.budget import Budget
from serving.entry import Entry
from serving.errors import InsufficientStorage
from serving.lane import Lane
from serving.place import Place
from serving.service import Tools

log = logging.getLogger("serving")

TRIM_SECONDS = 1.0
"""From the leaving of a model to that of the memory it had: many leave together, and to give memory
back takes milliseconds."""

MEASURE_SECONDS = 10.0
"""Between two looks at what models take: those in processes of their own may grow."""


class Room:
    """The places of a registry under budgets of memory and of the GPU's. Called on the event loop.

    Where the GPU's does not suffice, only models that hold some of it leave.
    """

    def __init__(self, tools: Tools, budget: Budget, gpu: Budget) -> None:
        self.places: OrderedDict[str, Place] = OrderedDict()
        """By name, those least recently used first."""
        self._tools = tools
        self._budget = budget
        self._gpu = gpu
        self._lane = Lane("memory", tools.loop)
        self._trim: object = None  # freed memory is about to be given back
        self._timer = tools.loop.call_later(MEASURE_SECONDS, self._measure)

    @property
    def exceeded(self) -> bool:
        """Whether models take more than they may."""
        return self._budget.exceeded or self._gpu.exceeded

    def reserve(self, place: Place) -> None:
        """Count a model that is about to be loaded as it is expected to be."""
        place.bytes = self._budget.expect(place.folder, place.size)
        place.gpu_bytes = self._gpu.expect(place.folder, place.size)
        self._budget.used += place.bytes
        self._gpu.used += place.gpu_bytes

    def release(self, place: Place) -> None:
        """Count a model no more."""
        self._budget.used -= place.bytes
        self._gpu.used -= place.gpu_bytes
        place.bytes = place.gpu_bytes = 0

    def take(self, place: Place, entry: Entry) -> None:
        """Count a model that was loaded as it was measured."""
        self._budget.used += entry.bytes - place.bytes
        self._budget.learn(place.folder, place.size, entry.bytes)
        self._gpu.used += entry.gpu_bytes - place.gpu_bytes
        self._gpu.learn(place.folder, place.size, entry.gpu_bytes)
        place.bytes, place.gpu_bytes, place.entry = entry.bytes, entry.gpu_bytes, entry
        self._count("loaded", entry, 1)

    def fits(self, place: Place, size: int, gpu_size: int) -> bool:
        """Whether a model of those sizes would fit if all left that may."""
        staying, on_gpu = self._staying(place)
        return size + staying <= self._budget.limit and gpu_size + on_gpu <= self._gpu.limit

    def refusal(self, place: Place) -> InsufficientStorage:
        """The error for a model that does not fit."""
        staying, on_gpu = self._staying(place)
        kind, taken, limit = "memory", place.bytes, self._budget.limit
        if taken + staying <= limit:
            kind, taken, limit = "GPU memory", place.gpu_bytes, self._gpu.limit
            staying = on_gpu
        return InsufficientStorage(
            f"Model {place.name} takes {taken:,} bytes of {kind}; of {limit:,} "
            f"for all models, {staying:,} are taken by those that stay."
        )

    def evict(self, spare: Place | None = None) -> list[Place]:
        """The models that have to leave, least recently used first; they have no place any more."""
        leaving = []
        for place in self._leavable():
            if not self.exceeded:
                break
            if place is not spare and (self._budget.exceeded or place.gpu_bytes):
                leaving.append(self._evict(place))
        return leaving

    def evict_from_gpu(self, newcomer: Place) -> list[Place]:
        """The models that have to leave for one that had no memory on the GPU, as ``evict`` has it.

        They hold as much of it as that one has on disk, or all there is.
        """
        leaving, held = [], 0
        for place in self._leavable():
            if place.gpu_bytes and held < max(1, newcomer.size):
                held += place.gpu_bytes
                leaving.append(self._evict(place))
        return leaving

    def take_out(self, place: Place) -> None:
        """Take a model's name from it, and its part of the budget."""
        if self.places.get(place.name) is place:
            del self.places[place.name]
        self.release(place)

    def leave(self, place: Place, left: Callable[[], None] = lambda: None) -> None:
        """Let a model answer what was begun, and go; ``left`` is called after that."""
        self.take_out(place)
        entry, place.entry = place.entry, None
        if entry is not None:
            self._count("unloaded", entry, -1)
            log.info("model %s leaves", place.name)
            entry.finish(partial(self._gone, place, left))
        else:
            place.let_go()
        if self._trim is None:
            self._trim = self._tools.loop.call_later(TRIM_SECONDS, self._trim_now)

    def lost(self, place: Place) -> None:
        """A model has ended by itself."""
        self.take_out(place)
        entry, place.entry = place.entry, None
        place.let_go()
        if entry is not None:
            self._count("ended", entry, -1)

    def give_back(self, done: Callable[[], None]) -> None:
        """Return to the system what has become free; ``done`` is called after that."""
        self._lane.run(footprint.give_back, lambda _: done())

    def close(self) -> None:
        """Let go of all models at once."""
        self._timer.cancel()
        self._lane.close()
        for place in self.places.values():
            if place.entry is not None:
                place.entry.close()

    def _leavable(self) -> list[Place]:
        """The models that may be evicted, least recently used first."""
        return [each for each in self.places.values() if each.entry is not None and not each.stays]

    def _evict(self, place: Place) -> Place:
        self.take_out(place)
        self._tools.metrics.models["evicted"] += 1
        return place

    def _staying(self, place: Place) -> tuple[int, int]:
        """Bytes of memory, and of the GPU's, of the other loaded models that are never evicted.

        What those that are loading will take is a guess, for which none is refused.
        """
        others = [
            each
            for each in self.places.values()
            if each.stays and each.entry is not None and each is not place
        ]
        return sum(each.bytes for each in others), sum(each.gpu_bytes for each in others)

    def _count(self, event: str, entry: Entry, change: int) -> None:
        metrics = self._tools.metrics
        metrics.models[event] += 1
        metrics.loaded += change
        metrics.model_bytes += change * entry.bytes
        metrics.model_gpu_bytes += change * entry.gpu_bytes

    def _gone(self, place: Place, left: Callable[[], None]) -> None:
        place.let_go()
        # Not before the next turn is it free: those who call each other now hold it still.
        self._tools.loop.call_soon(left)

    def _trim_now(self) -> None:
        self._trim = None
        self.give_back(lambda: None)

    def _measure(self) -> None:
        entries = [(place, place.entry) for place in self.places.values() if place.entry]
        self._lane.run(
            lambda: [(place, entry, entry.memory()) for place, entry in entries], self._measured
        )

    def _measured(self, found: list[tuple[Place, Entry, int]]) -> None:
        for place, entry, memory in found:
            if place.entry is entry:
                self._budget.used += memory - place.bytes
                self._tools.metrics.model_bytes += memory - entry.bytes
                place.bytes = entry.bytes = memory
        for victim in self.evict():
            self.leave(victim)
        self._timer = self._tools.loop.call_later(MEASURE_SECONDS, self._measure)
