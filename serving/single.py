"""A server's one model: loaded at the start, and asked at /invocations."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from serving import canary, oip, targets
from serving.call import Handler, Reply
from serving.canary import Canary
from serving.entry import Entry, State
from serving.errors import ModelNotFound, ModelNotReady
from serving.loader import Loader
from serving.service import Tools
from serving.values import Request

INVOCATIONS = "/invocations"


class SingleModel:
    """The one model, and its canary if it has one."""

    def __init__(self, tools: Tools, ask: Handler) -> None:
        """Make it; ``ask`` answers the canary's requests as it answers a client's."""
        self._tools = tools
        self._ask = ask
        self._entry: Entry | None = None
        self._name = tools.settings.model_name
        self.routes: dict[str, dict[str, Handler]] = {}
        """It answers at no other fixed path than /invocations."""
        self._canary: Canary | None = None

    def load(self, folder: Path, changed: Callable[[Entry], None], name: str) -> None:
        """Begin to load the model, of that name; ``changed`` hears the outcome.

        Where there is a canary, it hears that the model is ready when that was answered well.

        Raises:
            SettingError: the canary cannot be read.
        """
        self._name = name
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

    def routes_of(self, path: str) -> dict[str, Handler]:
        """What answers at the model's paths of the Open Inference Protocol, by method.

        Raises:
            ModelNotFound: the path is of another model.
        """
        target = targets.read(path)
        if target is None:
            return {}
        if target.model != self._name:
            raise ModelNotFound(
                f"There is no model {target.model[:100]!r}; this server's is {self._name!r}."
            )
        return oip.handlers(target, self.invoke, self.check)

    def invoke(self, request: Request, reply: Reply) -> None:
        """Ask the model. Raises ServingError, or whatever the model raises."""
        entry = self._entry or self._loading()
        entry.use().handle(request, reply)

    def named(self, request: Request) -> str | None:
        """The name of the model that a request asks, if it asks one."""
        asked = request.path == INVOCATIONS or targets.read(request.path) is not None
        return self._name if asked else None

    def index(self) -> list[tuple[str, str]]:
        """The model's name, and why it cannot answer, if it cannot."""
        try:
            self.check()
        except ModelNotReady as error:
            return [(self._name, str(error))]
        return [(self._name, "")]

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
