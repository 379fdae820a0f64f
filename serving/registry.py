"""The models of a multi-model server, by name: loaded once, kept while there is room.

A name has a place here from the moment it is opened. Whoever asks for it before its model is loaded
waits, together with the others, for one load. Where the memory budget does not suffice, the models
least recently used make room; they answer first what they have begun.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from serving import loading
from serving.budget import Budget
from serving.call import Reply
from serving.entry import Entry, State
from serving.errors import (
    ArchiveNotFound,
    InsufficientStorage,
    ModelConflict,
    ModelNotFound,
    ModelNotReady,
    ServingError,
)
from serving.loader import Loader
from serving.machine import cpu_count
from serving.place import Failure, Place, Settled
from serving.problems import catch
from serving.room import Room
from serving.service import Tools
from serving.values import Request

log = logging.getLogger("serving")

AGAIN_SECONDS = 1.0
"""From the end of a model's own process to the next one's begin."""


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


class Registry:
    """All models of a process. Its methods are called on the event loop."""

    def __init__(
        self,
        tools: Tools,
        loader: Loader,
        fetch: Fetch,
        budget: Budget,
        broken: Callable[[Entry], None] = _nothing,
        gpu: Budget | None = None,
    ) -> None:
        """Make it empty.

        Args:
            tools: What all models share.
            loader: Loads them.
            fetch: Makes their directories.
            budget: Of memory.
            broken: Hears of a model whose process has to be replaced.
            gpu: Budget of the GPU's memory, where there is a GPU that the loader measures.
        """
        self._tools = tools
        self._loader = loader
        self._fetch = fetch
        self._broken = broken
        self._room = Room(tools, budget, gpu or Budget(0, guess=0.0))
        self._places = self._room.places
        self._pending: deque[Place] = deque()
        self._opening: set[Place] = set()
        self._blocked: deque[Place] = deque()  # there is no room for them yet
        self._hopeless: set[Path] = set()  # others have left the GPU for them in vain
        self._too_large: set[Hashable] = set()  # versions that were loaded, and had no room
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
            if place.failure is not None:
                self._try_again(place, place.failure)
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
        stays: bool = False,
        follows: bool = False,
        returns: bool = False,
    ) -> None:
        """Load what lies at an address under a name; ``settled`` hears the outcome.

        A model that ``stays`` is never evicted. One that ``follows`` is loaded anew when what lies
        at its address has changed. One that ``returns`` was loaded before, perhaps by an earlier
        process: where it cannot be loaded it keeps its name, and is tried again when it is asked.

        Raises:
            ModelConflict: the name has a model already, or will have.
        """
        if name in self._places:
            raise ModelConflict(f"Model {name} is already registered.")
        place = Place(name, url, stays=stays, follows=follows, returns=returns)
        self._places[name] = place
        place.settled.append(settled)
        self._begin(place)

    def unload(self, name: str, done: Callable[[], None]) -> None:
        """Take a model out; ``done`` is called when it has ended, and its memory is given back.

        Raises:
            ModelNotFound: there is none of that name, or it is being unloaded.
        """
        place = self.find(name)
        if place.leaves:
            raise ModelNotFound(f"Model not found: {name}")
        place.leaves = True
        leave = partial(self._room.leave, place, partial(self._room.give_back, done))
        if place.failure is not None:
            self._room.take_out(place)
            self._room.give_back(done)
        elif place.entry is None:  # it loads: it ends when that has
            place.settled.append(lambda error: done() if error else leave())
        else:
            leave()

    def close(self) -> None:
        """Let go of all models at once."""
        self._room.close()

    # From an address to a model: fetch, make room, load.

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
            self._places[place.name] = place
        for victim in leaving:
            room.leave(victim, partial(left, victim))

    def _others_load(self, place: Place) -> bool:
        """Whether others are loading, which may turn out smaller, or leave then."""
        return any(other.bytes for other in self._opening - {place})

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
        elif place not in self._opening:  # its time to load was over
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
        if self._places.get(place.name) is not (old or place):  # it was unloaded meanwhile
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
            self._places[place.name] = place
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
            self._places[place.name] = place
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
        self._opening.discard(place)
        blocked, self._blocked = self._blocked, deque()
        for one in blocked:
            self._make_room(one)
        self._advance()

    # What becomes of it later.

    def _ended(self, place: Place) -> None:
        """A model's own process has ended by itself; who stays comes back."""
        self._room.lost(place)
        if place.stays:
            again = Place(place.name, place.url, stays=True, follows=place.follows, returns=True)
            self._places[place.name] = again
            self._tools.loop.call_later(AGAIN_SECONDS, self._begin, again)

    def _try_again(self, place: Place, failure: Failure) -> None:
        """Begin to load what could not be. Raises the error again where that was just now."""
        if time.monotonic() - failure.at < AGAIN_SECONDS:
            raise failure.error()
        place.failure = None
        self._begin(place)

    def _follow(self, place: Place) -> None:
        now = time.monotonic()
        if now - place.checked >= self._tools.settings.repository_seconds:
            place.checked = now
            newer = Place(place.name, place.url, stays=place.stays, follows=True, replaces=place)
            self._begin(newer)


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
