"""The core's front: a Request in, a Response out, whoever the host is.

It opens no socket and starts no server. A host calls :meth:`Application.handle` on the event loop
with a request and a reply channel; the response is sent on the channel once: before the call
returns where it can be answered at once, at the end of the turn for a cheap model, later for a
slow one. A callback costs a fraction of what a task or a future would for every request.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson

from serving import access, canary, media, metrics, problems, sessions
from serving.call import Call, Reply
from serving.canary import Canary
from serving.errors import Draining, MethodNotAllowed, NotFound
from serving.lane import Lane
from serving.machine import resident_bytes
from serving.metrics import Metrics
from serving.model import Model
from serving.registry import SINGLE, Entry, Registry, State
from serving.settings import MIB, Settings
from serving.values import Payload, Request, Response

INVOCATIONS = "/invocations"

INLINE_BODY = 64 * 1024
"""Largest body decoded on the event loop, in bytes; decoding one takes around a millisecond."""

MAX_TRANSFORM_MB = 100
"""SageMaker's limit for the payloads of a batch transform that are under way together."""

NO_CONTENT = Response(204)
HEALTHY = Response(200)

Handler = Callable[[Request, Reply], None]


def _own_exposition(counts: Metrics) -> bytes:
    return metrics.exposition([counts.snapshot(resident_bytes())])


class Application:
    """Routes, negotiates, and turns errors into responses."""

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        exposition: Callable[[Metrics], bytes] = _own_exposition,
    ) -> None:
        """Make it without a model; ``exposition`` writes /metrics, of all workers if need be."""
        self.draining = False
        self.metrics = Metrics()
        self._settings = settings
        self._loop = loop
        self._exposition = exposition
        self._registry = Registry(settings, loop, self.metrics)
        self._sessions = sessions.of(settings)
        self._decoders = Lane("decode", loop)
        self._call = Call
        self.handle: Handler = self._handle
        """Answers one request on its reply channel, now or later; raises nothing."""
        if settings.access_log:
            self._call = access.LoggedCall
            self.handle = access.logged(self._handle, {INVOCATIONS: SINGLE})
        self._canary: Canary | None = None
        self._routes: dict[str, dict[str, Handler]] = {
            INVOCATIONS: {"POST": self._invoke},
            "/execution-parameters": {"GET": self._execution_parameters},
            "/metrics": {"GET": self._report},
            "/ping": {"GET": self._ping, "HEAD": self._ping},
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that are answered."""
        return tuple(self._routes)

    def load(self, folder: Path, changed: Callable[[Entry], None]) -> None:
        """Begin to load the one model of a single-model server; ``changed`` hears the outcome.

        Where there is a canary, it hears that the model is ready when that was answered well.

        Raises:
            SettingError: the canary cannot be read.
        """
        request = canary.read(folder, self._settings)
        if request is None:
            self._registry.load(SINGLE, folder, changed)
            return
        interval = self._settings.canary_seconds
        self._canary = Canary(
            request,
            self._rehearse,
            self._loop,
            interval=interval,
            timeout=min(interval, self._settings.request_timeout),
        )

        start = self._canary.start

        def settled(entry: Entry) -> None:
            if entry.state is State.READY:
                start(partial(changed, entry))
            else:
                changed(entry)

        self._registry.load(SINGLE, folder, settled)

    def _handle(self, request: Request, reply: Reply) -> None:
        answer = problems.attempt(self._dispatch, request, reply)
        if answer is not None:
            if request.path == INVOCATIONS:
                self.metrics.answered(answer.status, 0.0)
            reply.send(answer)

    def close(self) -> None:
        """End the threads."""
        if self._canary is not None:
            self._canary.close()
        self._decoders.close()
        self._registry.close()

    def _dispatch(self, request: Request, reply: Reply) -> None:
        methods = self._routes.get(request.path)
        if methods is None:
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
        self._registry.find(SINGLE).check()
        if self._canary is not None:
            self._canary.check()
        reply.send(HEALTHY)

    def _rehearse(self, request: Request, reply: Reply) -> None:
        """Ask for the canary, until the server is about to stop."""
        if not self.draining:
            self._handle(request, reply)
        elif self._canary is not None:
            self._canary.close()

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

    def _invoke(self, request: Request, reply: Reply) -> None:
        model, batcher = self._registry.find(SINGLE).use()
        action = self._sessions.action(request)
        if action is not None:
            began = time.monotonic()
            self._decoders.run(
                partial(problems.attempt, action), partial(self._acted, reply, began)
            )
            return
        foreign = "decode" in model.foreign
        if not request.body and not foreign:
            self.metrics.answered(NO_CONTENT.status, 0.0)
            reply.send(NO_CONTENT)
            return
        batcher.admit(request.deadline)
        call = self._call(request, _accepted(model, request), reply)
        if foreign:
            batcher.submit(call)
        elif len(request.body) <= INLINE_BODY:
            call.payload = model.decode(request)
            call.ready = time.monotonic()
            batcher.submit(call)
        else:
            self._decoders.run(
                partial(problems.attempt, model.decode, request),
                partial(self._decoded, call, batcher.submit),
            )

    def _acted(self, reply: Reply, began: float, answer: Response) -> None:
        self.metrics.answered(answer.status, time.monotonic() - began)
        reply.send(answer)

    def _decoded(
        self, call: Call, submit: Callable[[Call], None], outcome: Payload | Response
    ) -> None:
        call.ready = time.monotonic()
        if isinstance(outcome, Payload):
            call.payload = outcome
            answer = problems.attempt(submit, call)
        else:
            answer = outcome
        if answer is not None:
            self.metrics.answered(answer.status, call.ready - call.began)
            call.finish(answer)


def _accepted(model: Model, request: Request) -> str:
    """The media type to answer in, settled before the model runs: a 406 costs no inference."""
    accept = request.headers.get("accept", "")
    return media.choose(accept, model.writes) if model.writes else accept
