"""The models of a multi-model server, by name: loaded once, kept while there is room.

A name has a place here from the moment it is opened. Whoever asks for it before its model is loaded
waits, together with the others, for one load. Where the memory budget does not suffice, the models
least recently used make room; they answer first what they have begun.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from serving import footprint
from serving.budget import Budget
from serving.call import Reply
from serving.entry import Entry, State
from serving.errors import ArchiveNotFound, InsufficientStorage, ModelConflict, ModelNotFound
from serving.loader import Loader
from serving.machine import cpu_count
from serving.place import Place, Settled
from serving.problems import catch
from serving.service import Tools
from serving.values import Request

log = logging.getLogger("serving")

TRIM_SECONDS = 1.0
"""From the leaving of a model to that of the memory it had: many leave together, and to give memory
back takes milliseconds."""

AGAIN_SECONDS = 1.0
"""From the end of a model's own process to the next one's begin."""


class Fetched(NamedTuple):
    """A model directory."""

    folder: Path
    size: int
    """In bytes."""
    changed: int
    """When a file of it last changed, in nanoseconds."""


Fetch = Callable[[str], Fetched]
"""Makes a model directory of what lies at an address, in a thread."""


def _nothing(_: object = None) -> None:
    return


class Registry:
    """All models of a process. Its methods are called on the event loop."""

    def __init__(
        self,
        tools: Tools,
        loader: Loader,
        fetch: Fetch,
        budget: Budget,
        broken: Callable[[Entry], None] = _nothing,
    ) -> None:
        """Make it empty; ``broken`` hears of a model whose process has to be replaced."""
        self._tools = tools
        self._loader = loader
        self._fetch = fetch
        self._budget = budget
        self._broken = broken
        self._places: OrderedDict[str, Place] = OrderedDict()  # least recently used first
        self._pending: deque[Place] = deque()
        self._opening: set[Place] = set()
        self._blocked: deque[Place] = deque()  # there is no room for them yet
        self._trim: object = None  # freed memory is about to be given back
        self._most_opening = 2 * cpu_count()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def places(self) -> Iterable[Place]:
        """All places, those least recently used first."""
        return self._places.values()

    def find(self, name: str) -> Place:
        """The place of that name. Raises ModelNotFound."""
        try:
            return self._places[name]
        except KeyError:
            raise ModelNotFound(f"Model not found: {name}") from None

    def ask(self, name: str, request: Request, reply: Reply) -> None:
        """Let a model answer, when it is loaded. Raises ServingError, or what the model raises."""
        place = self.find(name)
        self._places.move_to_end(name)
        entry = place.entry
        if entry is None:
            tools = self._tools
            place.wait(request, reply, tools.loop, tools.settings.max_queue, tools.metrics)
            return
        entry.use().handle(request, reply)
        if place.follows:
            self._follow(place)

    def open(
        self,
        name: str,
        url: str,
        settled: Settled = _nothing,
        *,
        pinned: bool = False,
        follows: bool = False,
    ) -> None:
        """Load what lies at an address under a name; ``settled`` hears the outcome.

        Raises:
            ModelConflict: the name has a model already, or will have.
        """
        if name in self._places:
            raise ModelConflict(f"Model {name} is already registered.")
        place = self._places[name] = Place(name, url, pinned=pinned, follows=follows)
        place.settled.append(settled)
        self._begin(place)

    def unload(self, name: str, done: Callable[[], None]) -> None:
        """Take a model out; ``done`` is called when it has ended, and its memory is given back.

        Raises:
            ModelNotFound: there is none of that name.
        """
        place = self.find(name)
        if place.entry is None:  # it loads: it ends when that has
            place.settled.append(lambda error: done() if error else self.unload(name, done))
            return
        self._leave(
            place, lambda: self._tools.decoder.lane.run(footprint.give_back, lambda _: done())
        )

    def close(self) -> None:
        """Let go of all models at once."""
        for place in self._places.values():
            if place.entry is not None:
                place.entry.close()

    # Opening: fetch, make room, load.

    def _begin(self, place: Place) -> None:
        self._pending.append(place)
        self._advance()

    def _advance(self) -> None:
        while self._pending and len(self._opening) < self._most_opening:
            place = self._pending.popleft()
            self._opening.add(place)
            threading.Thread(
                target=self._fetch_for, args=(place,), name=f"fetch-{place.name}", daemon=True
            ).start()

    def _fetch_for(self, place: Place) -> None:
        outcome = catch(self._fetch, place.url)
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the model
            self._tools.loop.call_soon_threadsafe(self._fetched, place, outcome)

    def _fetched(self, place: Place, outcome: Fetched | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self._failed(place, outcome)
            return
        place.folder, place.size = outcome.folder, outcome.size
        place.version = outcome.folder, outcome.changed
        old = place.replaces
        if old is not None and place.version in (old.version, old.refused):
            self._opened(place)
            return
        self._make_room(place)

    def _make_room(self, place: Place) -> None:
        """Load the model when there is room, for which others leave."""
        place.bytes = self._budget.expect(place.folder, place.size)
        self._budget.used += place.bytes
        leaving = self._evict()
        if leaving:
            self._after(leaving, place)
        elif not self._budget.exceeded:
            self._load(place)
        elif any(other.bytes for other in self._opening - {place}):
            self._release(place)
            self._blocked.append(place)  # those may turn out smaller, or leave then
        elif place.size + self._pinned() <= self._budget.limit:
            self._load(place)  # what it is expected to take is a guess
        else:
            self._failed(place, self._no_room(place))

    def _after(self, leaving: list[Place], place: Place) -> None:
        """Look for room again when others have left."""
        staying = set(leaving)

        def left(victim: Place) -> None:
            staying.discard(victim)
            if not staying:
                self._release(place)
                self._make_room(place)

        for victim in leaving:
            self._leave(victim, partial(left, victim))

    def _load(self, place: Place) -> None:
        self._loader.load(place.name, place.folder, partial(self._changed, place))

    def _changed(self, place: Place, entry: Entry) -> None:
        if entry.state is State.BROKEN:
            self._broken(entry)
        elif entry.state is State.ENDED:
            self._ended(place)
        elif place not in self._opening:  # its time to load was over
            entry.finish(_nothing)
        elif entry.state is State.FAILED:
            self._failed(place, entry.error)
        else:
            self._loaded(place, entry)

    def _loaded(self, place: Place, entry: Entry) -> None:
        self._budget.used += entry.bytes - place.bytes
        self._budget.learn(place.folder, place.size, entry.bytes)
        place.bytes, place.entry = entry.bytes, entry
        old, here = place.replaces, self._places.get(place.name)
        if here is not (old or place):  # it was unloaded, or replaced, meanwhile
            self._failed(place, ModelNotFound(f"Model not found: {place.name}"))
            return
        for victim in self._evict(spare=place):
            self._leave(victim, _nothing)
        if self._budget.exceeded and self._pinned() + place.bytes > self._budget.limit:
            self._failed(place, self._no_room(place))
            return
        self._count("loaded", entry, 1)
        if old is not None:
            place.replaces = None
            self._places[place.name] = place
            log.info("model %s has a new version", place.name)
            self._leave(old, _nothing)
        place.settle(None)  # before another takes its room
        self._opened(place)

    def _failed(self, place: Place, error: BaseException) -> None:
        self._tools.metrics.models["failed"] += 1
        entry, place.entry = place.entry, None
        self._release(place)
        if entry is not None:
            entry.finish(_nothing)
        if place.replaces is not None:
            refused = place.version or str(error)
            if refused != place.replaces.refused:
                place.replaces.refused = refused
                log.error("the new version of model %s is left out: %s", place.name, error)
        elif self._places.get(place.name) is place:
            del self._places[place.name]
        place.settle(_told(place, error))
        self._opened(place)

    def _opened(self, place: Place) -> None:
        self._opening.discard(place)
        blocked, self._blocked = self._blocked, deque()
        for one in blocked:
            self._make_room(one)
        self._advance()

    # Leaving.

    def _evict(self, spare: Place | None = None) -> list[Place]:
        """The models that have to leave, least recently used first; they have no place any more."""
        leaving = []
        for place in list(self._places.values()):
            if not self._budget.exceeded:
                break
            if place.entry is not None and not place.pinned and place is not spare:
                self._take_out(place)
                leaving.append(place)
                self._tools.metrics.models["evicted"] += 1
        return leaving

    def _take_out(self, place: Place) -> None:
        if self._places.get(place.name) is place:
            del self._places[place.name]
        self._release(place)

    def _release(self, place: Place) -> None:
        self._budget.used -= place.bytes
        place.bytes = 0

    def _leave(self, place: Place, left: Callable[[], None]) -> None:
        self._take_out(place)
        entry, place.entry = place.entry, None
        if entry is not None:
            self._count("unloaded", entry, -1)
            log.info("model %s leaves", place.name)
            entry.finish(left)
        if self._trim is None:
            self._trim = self._tools.loop.call_later(TRIM_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._trim = None
        self._tools.decoder.lane.run(footprint.give_back, _nothing)

    def _ended(self, place: Place) -> None:
        """A model's own process has ended by itself; who stays comes back."""
        self._take_out(place)
        if place.entry is not None:
            self._count("ended", place.entry, -1)
        if place.pinned or not place.follows:
            again = Place(place.name, place.url, pinned=place.pinned, follows=place.follows)
            self._places[place.name] = again
            self._tools.loop.call_later(AGAIN_SECONDS, self._begin, again)

    def _count(self, event: str, entry: Entry, change: int) -> None:
        metrics = self._tools.metrics
        metrics.models[event] += 1
        metrics.loaded += change
        metrics.model_bytes += change * entry.bytes

    def _pinned(self) -> int:
        return sum(place.bytes for place in self._places.values() if place.pinned)

    def _no_room(self, place: Place) -> InsufficientStorage:
        return InsufficientStorage(
            f"Model {place.name} takes {place.bytes:,} bytes of memory; of {self._budget.limit:,} "
            f"for all models, {self._pinned():,} are taken by those that stay."
        )

    # Following what lies at an address.

    def _follow(self, place: Place) -> None:
        now = time.monotonic()
        if now - place.checked < self._tools.settings.repository_seconds:
            return
        place.checked = now
        newer = Place(place.name, place.url, pinned=place.pinned, follows=True, replaces=place)
        self._begin(newer)


def _told(place: Place, error: BaseException) -> BaseException:
    """The error that those who wait are answered."""
    if isinstance(error, ArchiveNotFound):
        return ModelNotFound(f"Model not found in model store: {place.url}")
    if isinstance(error, MemoryError):
        return InsufficientStorage(f"There is no memory for model {place.name}.")
    return error
