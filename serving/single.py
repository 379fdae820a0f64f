"""A server's one model: loaded at the start, and asked at /invocations."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from serving import canary
from serving.call import Handler, Reply
from serving.canary import Canary
from serving.entry import Entry, State
from serving.errors import ModelNotReady
from serving.loader import Loader
from serving.service import Tools
from serving.values import Request

INVOCATIONS = "/invocations"

NAME = "model"
"""What the one model is called in logs."""


class SingleModel:
    """The one model, and its canary if it has one."""

    def __init__(self, tools: Tools, ask: Handler) -> None:
        """Make it; ``ask`` answers the canary's requests as it answers a client's."""
        self._tools = tools
        self._ask = ask
        self._entry: Entry | None = None
        self.routes: dict[str, dict[str, Handler]] = {}
        """It answers at no path but /invocations."""
        self._canary: Canary | None = None

    def load(self, folder: Path, changed: Callable[[Entry], None], name: str = NAME) -> None:
        """Begin to load the model, of that name in logs; ``changed`` hears the outcome.

        Where there is a canary, it hears that the model is ready when that was answered well.

        Raises:
            SettingError: the canary cannot be read.
        """
        settings = self._tools.settings
        request = canary.read(folder, settings)
        if request is None:
            self._entry = Loader(self._tools).load(name, folder, changed)
            return
        interval = settings.canary_seconds
        self._canary = Canary(
            request,
            self._ask,
            self._tools.loop,
            interval=interval,
            timeout=min(interval, settings.request_timeout),
        )
        start = self._canary.start

        def settled(entry: Entry) -> None:
            if entry.state is State.READY:
                start(partial(changed, entry))
            else:
                changed(entry)

        self._entry = Loader(self._tools).load(name, folder, settled)

    def routes_of(self, _path: str) -> dict[str, Handler]:
        """Nothing answers at other paths."""
        return {}

    def invoke(self, request: Request, reply: Reply) -> None:
        """Ask the model. Raises ServingError, or whatever the model raises."""
        self._loading().use().handle(request, reply)

    def named(self, request: Request) -> str | None:
        """The name of the model that a request asks, if it asks one."""
        return NAME if request.path == INVOCATIONS else None

    def check(self) -> None:
        """Return if the model is well. Raises ModelNotReady with the reason if not."""
        self._loading().check()
        if self._canary is not None:
            self._canary.check()

    def drain(self) -> None:
        """Ask for the canary no more: the server is about to stop."""
        if self._canary is not None:
            self._canary.close()

    def close(self) -> None:
        """End the threads."""
        self.drain()
        if self._entry is not None:
            self._entry.close()

    def _loading(self) -> Entry:
        if self._entry is None:
            raise ModelNotReady("The server starts.")
        return self._entry
