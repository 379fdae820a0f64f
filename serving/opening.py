"""From an address to a model: fetch its directory, make room, load it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from serving import loading
from serving.entry import Entry, State
from serving.errors import (
    ArchiveNotFound,
    InsufficientStorage,
    ModelNotFound,
    ModelNotReady,
    ServingError,
)
from serving.loader import Loader
from serving.machine import cpu_count
from serving.place import Failure, Place
from serving.problems import catch
from serving.room import Room
from serving.service import Tools

log = logging.getLogger("serving")


def _nothing(_: object = None) -> None:
    return


class Fetched(NamedTuple):
    """A model directory."""

    folder: Path
    size: int
    """In bytes."""
    changed: int
    """When a file of it last changed, in nanoseconds."""
    let_go: Callable[[], None] = _nothing
    """To be called when it is used no more."""


Fetch = Callable[[str], Fetched]
"""Makes a model directory of what lies at an address, in a thread."""


class Opening:
    """The models of a registry that are on their way. Called on the event loop.

    A place is here until its model is loaded, or cannot be; its length is how many there are.
    """

    def __init__(
        self,
        tools: Tools,
        loader: Loader,
        fetch: Fetch,
        room: Room,
        broken: Callable[[Entry], None],
        ended: Callable[[Place], None],
    ) -> None:
        """Make it empty.

        Args:
            tools: What all models share.
            loader: Loads them.
            fetch: Makes their directories.
            room: Where they go.
            broken: Hears of a model, loaded before, whose process has to be replaced.
            ended: Hears of one whose own process has ended by itself.
        """
        self._tools = tools
        self._loader = loader
        self._fetch = fetch
        self._room = room
        self._broken = broken
        self._ended = ended
        self._most = 2 * cpu_count()
        self._places: set[Place] = set()
        self._pending: deque[Place] = deque()  # their turn has not come
        self._blocked: deque[Place] = deque()  # there is no room for them yet
        self._hopeless: set[Path] = set()  # others have left the GPU for them in vain
        self._too_large: set[Hashable] = set()  # versions that were loaded, and had no room

    def __len__(self) -> int:
        return len(self._places)

    def begin(self, place: Place) -> None:
        """Load the model of a place, or a newer version of one, as soon as its turn comes."""
        self._pending.append(place)
        self._advance()

    def _advance(self) -> None:
        while self._pending and len(self._places) < self._most:
            place = self._pending.popleft()
            self._places.add(place)
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
        place.folder, place.size, place.let_go = outcome.folder, outcome.size, outcome.let_go
        place.version = outcome.folder, outcome.changed
        old = place.replaces
        if old is not None and place.version in (old.version, old.refused):
            place.let_go()
            self._opened(place)
        else:
            self._make_room(place)

    def _make_room(self, place: Place) -> None:
        """Load the model when there is room, for which others leave."""
        room = self._room
        room.reserve(place)
        known = place.version in self._too_large
        if known and not room.fits(place, place.bytes, place.gpu_bytes):
            self._failed(place, room.refusal(place))  # nobody leaves for it in vain
            return
        leaving = room.evict()
        if leaving:
            self._make_room_after(leaving, place)
        elif not room.exceeded:
            self._load(place)
        elif self._others_load(place):
            self._block(place)
        elif room.fits(place, place.size, 0):
            self._load(place)  # what it is expected to take is a guess
        else:
            self._failed(place, room.refusal(place))

    def _make_room_after(self, leaving: list[Place], place: Place) -> None:
        room, staying = self._room, set(leaving)
        on_gpu = any(victim.entry is not None and victim.entry.on_gpu for victim in leaving)

        def again() -> None:
            room.release(place)
            self._make_room(place)

        def left(victim: Place) -> None:
            staying.discard(victim)
            if not staying and on_gpu:  # what a library keeps there, others cannot have
                room.give_back(again)
            elif not staying:
                again()

        if place.replaces in leaving:  # who asks from now on waits
            place.replaces = None
            self._room.places[place.name] = place
        for victim in leaving:
            room.leave(victim, partial(left, victim))

    def _others_load(self, place: Place) -> bool:
        """Whether others are loading, which may turn out smaller, or leave then."""
        return any(other.bytes for other in self._places - {place})

    def _block(self, place: Place) -> None:
        """Let a model wait until another is loaded."""
        self._room.release(place)
        self._blocked.append(place)

    def _load(self, place: Place) -> None:
        self._loader.load(place.name, place.folder, partial(self._changed, place))

    def _changed(self, place: Place, entry: Entry) -> None:
        if entry.state is State.BROKEN:
            self._broken(entry)
        elif entry.state is State.ENDED:
            self._ended(place)
        elif place not in self._places:  # its time to load was over
            entry.finish(_nothing)
        elif entry.state is not State.FAILED:
            self._loaded(place, entry)
        elif isinstance(entry.error, InsufficientStorage):
            self._starved(place, entry.error)
        else:
            self._failed(place, entry.error)

    def _loaded(self, place: Place, entry: Entry) -> None:
        room, old = self._room, place.replaces
        room.take(place, entry)
        if self._room.places.get(place.name) is not (old or place):  # it was unloaded meanwhile
            room.leave(place)
            place.settle(ModelNotFound(f"Model not found: {place.name}"))
            self._opened(place)
            return
        if not room.fits(place, place.bytes, place.gpu_bytes):
            self._too_large.add(place.version)
            self._failed(place, room.refusal(place))
            return
        for victim in room.evict(spare=place):
            room.leave(victim)
        if old is not None:
            place.replaces = None
            self._room.places[place.name] = place
            log.info("model %s has a new version", place.name)
            room.leave(old)
        place.settle(None)  # before another takes its room
        self._opened(place)

    def _starved(self, place: Place, error: InsufficientStorage) -> None:
        """There was no memory for a model: try again when others have left the GPU, if any can."""
        hopeless = place.folder in self._hopeless
        leaving = [] if hopeless else self._room.evict_from_gpu(place)
        if leaving:
            log.info("the GPU has no memory for model %s: others leave it", place.name)
            place.displaces = True
            self._make_room_after(leaving, place)
        elif self._others_load(place):
            self._block(place)
        else:
            if place.displaces:  # next time, nobody has to leave
                self._hopeless.add(place.folder)
            self._failed(place, error)

    def _failed(self, place: Place, error: BaseException) -> None:
        self._tools.metrics.models["failed"] += 1
        old = place.replaces
        if old is not None:
            self._refuse(old, place, error)
        else:
            self._room.leave(place)
        error = _told(place, error)
        if place.returns and not place.leaves:
            place.failure = _failure(place, error)
            error = place.failure.error()
            self._room.places[place.name] = place
            log.error("%s", error)
        place.settle(error)
        self._opened(place)

    def _refuse(self, old: Place, new: Place, error: BaseException) -> None:
        """The old version stays; the new one is not tried again."""
        refused = new.version or str(error)
        if refused != old.refused:
            old.refused = refused
            log.error("the new version of model %s is left out: %s", new.name, error)
        self._room.leave(new)

    def _opened(self, place: Place) -> None:
        self._places.discard(place)
        blocked, self._blocked = self._blocked, deque()
        for one in blocked:
            self._make_room(one)
        self._advance()


def _told(place: Place, error: BaseException) -> BaseException:
    """The error that those who wait are answered."""
    if isinstance(error, ArchiveNotFound):
        # Who names a model need not know where the repository is.
        where = place.name if place.follows else place.url
        return ModelNotFound(f"Model not found in model store: {where}")
    if isinstance(error, MemoryError):
        return InsufficientStorage(f"There is no memory for model {place.name}.")
    return error


def _failure(place: Place, error: BaseException) -> Failure:
    """Why a model that was loaded before is not: its name is good, so this is no 404."""
    kind = InsufficientStorage if isinstance(error, InsufficientStorage) else ModelNotReady
    reason = str(error) if isinstance(error, ServingError) else loading.reason(error)
    message = f"Model {place.name} cannot be loaded again: {reason}"
    return Failure(kind, message, time.monotonic())
