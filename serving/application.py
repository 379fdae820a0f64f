"""The core's front: a Request in, a Response out, whoever the host is.

It opens no socket and starts no server. A host calls :meth:`Application.handle` on the event loop
with a request and a reply channel; the response is sent on the channel once: before the call
returns where it can be answered at once, at the end of the turn for a cheap model, later for a
slow one. A callback costs a fraction of what a task or a future would for every request.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from serving import media, metrics, oip, problems, targets
from serving.call import Handler, Reply
from serving.entry import Entry
from serving.errors import Draining, MethodNotAllowed, NotFound
from serving.machine import resident_bytes
from serving.metrics import Metrics
from serving.service import Tools
from serving.settings import MIB, Settings
from serving.single import INVOCATIONS, SingleModel
from serving.values import Request, Response

if TYPE_CHECKING:
    import asyncio

    from serving.multi import MultiModel

MAX_TRANSFORM_MB = 100
"""SageMaker's limit for the payloads of a batch transform that are under way together."""

HEALTHY = Response(200)


Exposition = Callable[[Metrics], bytes]
"""Writes /metrics, given what this process has counted."""


def own_exposition(counts: Metrics) -> bytes:
    """What this process alone has counted."""
    return metrics.exposition([counts.snapshot(resident_bytes())])


class Application:
    """Routes, negotiates, and turns errors into responses."""

    def __init__(
        self,
        settings: Settings,
        loop: "asyncio.AbstractEventLoop",
        exposition: Exposition = own_exposition,
        many: "Callable[[Tools], MultiModel] | None" = None,
    ) -> None:
        """Make it without a model.

        Args:
            settings: All settings.
            loop: The event loop on which everything here is called.
            exposition: Writes /metrics, of all workers if need be.
            many: Makes what holds the models of a server of many.
        """
        self._settings = settings
        self._exposition = exposition
        self._tools = Tools.of(settings, loop)
        self.metrics = self._tools.metrics
        self._single = SingleModel(self._tools, self._handle)
        self._many = many(self._tools) if many else None
        self._models = self._many or self._single
        self.draining = False
        self.handle: Handler = self._handle
        """Answers one request on its reply channel, now or later; raises nothing."""
        self.named = self._models.named
        """Gives the name of the model that a request asks, if it asks one."""
        self._routes: dict[str, dict[str, Handler]] = {
            INVOCATIONS: {"POST": self._models.invoke},
            "/execution-parameters": {"GET": self._execution_parameters},
            "/metrics": {"GET": self._report},
            "/ping": {"GET": self._ping, "HEAD": self._ping},
            targets.ROOT: {"GET": self._describe},
            targets.LIVE: {"GET": self._live, "HEAD": self._live},
            targets.READY: {"GET": self._ping, "HEAD": self._ping},
            targets.INDEX: {"POST": self._index},
            **self._models.routes,
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that are answered."""
        return tuple(self._routes)

    def load(self, folder: Path, changed: Callable[[Entry], None], name: str = "") -> None:
        """Begin to load the one model of a single-model server; ``changed`` hears the outcome.

        It is called ``name``, or else as the settings have it.

        Raises:
            SettingError: its canary cannot be read.
        """
        self._single.load(folder, changed, name or self._settings.model_name)

    def open(self, registered: Mapping[str, str], ready: Callable[[], None]) -> None:
        """Begin to serve many models, with those that an earlier process had registered.

        ``ready`` is called when all that is pinned is loaded.

        Raises:
            ModelNotFound: a pinned model is not in the repository.
        """
        if self._many is not None:
            self._many.load(registered, ready)

    def drain(self) -> None:
        """Say to /ping from now on that the server is about to stop."""
        self.draining = True
        self._models.drain()

    def _handle(self, request: Request, reply: Reply) -> None:
        # Here, and not in _dispatch alone: what is asked at a fixed path is one call nearer.
        methods = self._routes.get(request.path)
        handler = methods.get(request.method) if methods else None
        answer = problems.attempt(handler or self._dispatch, media.settled(request), reply)
        if answer is not None:
            if request.path == INVOCATIONS or request.path.endswith(("/invoke", "/infer")):
                self.metrics.answered(answer.status, 0.0)
            reply.send(answer)

    def close(self) -> None:
        """End the threads."""
        self._models.close()
        self._tools.decoder.close()

    def _dispatch(self, request: Request, reply: Reply) -> None:
        methods = self._routes.get(request.path) or self._models.routes_of(request.path)
        if not methods:
            raise NotFound(
                f"There is nothing at {request.path!r}; this server answers "
                f"{', '.join(sorted(self._routes))}."
            )
        handler = methods.get(request.method)
        if handler is None:
            error = MethodNotAllowed(
                f"{request.path} takes {' or '.join(methods)}, not {request.method}."
            )
            error.headers = (("allow", ", ".join(methods)),)
            raise error
        handler(request, reply)

    def _ping(self, _request: Request, reply: Reply) -> None:
        if self.draining:
            raise Draining("The server is about to stop; it finishes what it has begun.")
        self._models.check()
        reply.send(HEALTHY)

    def _describe(self, _request: Request, reply: Reply) -> None:
        reply.send(oip.server())

    def _live(self, _request: Request, reply: Reply) -> None:
        reply.send(HEALTHY)

    def _index(self, _request: Request, reply: Reply) -> None:
        reply.send(oip.index(self._models.index()))

    def _execution_parameters(self, _request: Request, reply: Reply) -> None:
        """What batch transform should do; all that runs at once may have 100 MB together."""
        settings = self._settings
        transforms = max(1, min(settings.workers, MAX_TRANSFORM_MB))
        payload = min(settings.max_body // MIB, MAX_TRANSFORM_MB // transforms)
        parameters = {
            "MaxConcurrentTransforms": transforms,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": payload,
        }
        reply.send(Response(200, orjson.dumps(parameters), "application/json"))

    def _report(self, _request: Request, reply: Reply) -> None:
        reply.send(Response(200, self._exposition(self.metrics), metrics.CONTENT_TYPE))
