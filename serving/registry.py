"""The models of a multi-model server, by name: loaded once, kept while there is room.

A name has a place here from the moment it is opened. Whoever asks for it before its model is loaded
waits, together with the others, for one load. Where the memory budget does not suffice, the models
least recently used make room; they answer first what they have begun.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial

from serving.budget import Budget
from serving.call import Reply
from serving.entry import Entry
from serving.errors import ModelConflict, ModelNotFound
from serving.loader import Loader
from serving.opening import Fetch, Fetched, Opening
from serving.place import Failure, Place, Settled
from serving.room import Room
from serving.service import Tools
from serving.values import Request

__all__ = ["Fetched", "Registry"]

AGAIN_SECONDS = 1.0
"""From the end of a model's own process to the next one's begin."""


class Registry:
    """All models of a process. Its methods are called on the event loop."""

    def __init__(
        self,
        tools: Tools,
        loader: Loader,
        fetch: Fetch,
        budget: Budget,
        broken: Callable[[Entry], None] = lambda _: None,
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
        self._room = Room(tools, budget, gpu or Budget(0, guess=0.0))
        self._places = self._room.places
        self._opening = Opening(tools, loader, fetch, self._room, broken, self._ended)

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
        settled: Settled = lambda _: None,
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
        self._opening.begin(place)

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

    # What becomes of it later.

    def _ended(self, place: Place) -> None:
        """A model's own process has ended by itself; who stays comes back."""
        self._room.lost(place)
        if place.stays:
            again = Place(place.name, place.url, stays=True, follows=place.follows, returns=True)
            self._places[place.name] = again
            self._tools.loop.call_later(AGAIN_SECONDS, self._opening.begin, again)

    def _try_again(self, place: Place, failure: Failure) -> None:
        """Begin to load what could not be. Raises the error again where that was just now."""
        if time.monotonic() - failure.at < AGAIN_SECONDS:
            raise failure.error()
        place.failure = None
        self._opening.begin(place)

    def _follow(self, place: Place) -> None:
        now = time.monotonic()
        if now - place.checked >= self._tools.settings.repository_seconds:
            place.checked = now
            newer = Place(place.name, place.url, stays=place.stays, follows=True, replaces=place)
            self._opening.begin(newer)
