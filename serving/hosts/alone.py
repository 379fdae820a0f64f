"""A site that answers one request at a time, in the thread that asks: at the edge and on Lambda."""

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from serving import runtime
from serving.application import Exposition, own_exposition
from serving.entry import State
from serving.hosts import messages
from serving.hosts.messages import Whole
from serving.hosts.site import Site
from serving.hosts.turns import Turns
from serving.settings import Settings
from serving.values import Request, Response

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Alone:
    """A site whose event loop runs while a request is answered, and stands still in between."""

    def __init__(
        self,
        settings: Settings,
        folder: Path | None,
        told: Callable[[State, str], None] = lambda _state, _reason: None,
        exposition: Exposition = own_exposition,
    ) -> None:
        """Begin to load; the arguments are Site's. ``told`` is called while the loop runs.

        Raises:
            SettingError: as Site does.
        """
        self._told = told
        self._state: tuple[State, str] | None = None
        self._turns = Turns()
        self._awaits = _awaits(settings)
        with ExitStack() as undo:
            undo.callback(self._turns.close)
            if self._awaits:
                opening = Site.opened(settings, folder, self._hear, exposition)
                self._site = self._wait(opening)
            else:
                loop = cast("asyncio.AbstractEventLoop", self._turns)
                self._site = Site(settings, loop, told=self._hear, exposition=exposition)
                self._site.open(folder)
            undo.pop_all()

    def settled(self) -> tuple[State, str]:
        """Wait until the model is READY, or has FAILED, which comes with the reason."""
        while self._state is None:
            self._turns.run_forever()
        return self._state

    def ask_whole(self, request: Request) -> Whole:
        """The answer to a request, whatever it is, with its body whole; raises nothing.

        A stream that breaks off, or has not ended by the request's deadline, is an error.
        """
        if self._awaits or request.path.startswith(runtime.PREFIX):
            return self._wait(self._asked(request))
        answered = Answered(self._turns)
        self._site.handle(request, answered)
        while answered.response is None:
            self._turns.run_forever()
        response = messages.fit(answered.response, request)
        if answered.response.body is response.body and isinstance(response.body, bytes):
            return Whole.of(response, response.body)
        return self._wait(_collected(answered.response, request))

    def close(self) -> None:
        """End the threads."""
        self._wait(self._site.drain())
        self._wait(self._site.close())
        self._turns.close()

    def _hear(self, state: State, reason: str) -> None:
        if self._state is None:
            self._state = state, reason
            self._turns.stop()
        self._told(state, reason)

    async def _asked(self, request: Request) -> Whole:
        from serving.hosts import awaiting

        response = await awaiting.answer(self._site.handle, request)
        return Whole.of(*await awaiting.whole(response, request.deadline))

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._turns.asyncio().run_until_complete(coroutine)


class Answered:
    """The reply channel of the one request."""

    gone = False

    def __init__(self, turns: Turns) -> None:
        self.response: Response | None = None
        self._turns = turns

    def send(self, response: Response) -> None:
        """Take the answer."""
        self.response = response
        self._turns.stop()


async def _collected(response: Response, request: Request) -> Whole:
    from serving.hosts import awaiting

    response = await awaiting.begun(response, request)
    return Whole.of(*await awaiting.whole(response, request.deadline))


def _awaits(settings: Settings) -> bool:
    """Whether something is awaited by what the settings ask for, and not only by streams."""
    return bool(settings.keys or settings.canary or settings.many) or runtime.asked_for(settings)
