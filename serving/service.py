"""One loaded model at work: from a request to its answer."""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from serving import access, footprint, media, oip, sessions, targets
from serving.batching import Batcher
from serving.call import Call, Dialect, Reply
from serving.decoding import Decoder
from serving.metrics import Metrics
from serving.model import Model
from serving.problems import attempt
from serving.settings import Settings
from serving.targets import PREFIX, Target
from serving.values import Payload, Request, Response

if TYPE_CHECKING:
    import asyncio

    from serving.sessions.store import Sessions

INLINE_BODY = 64 * 1024
"""Largest body decoded on the event loop, in bytes; decoding one takes around a millisecond."""

PACKED = "application/x-npz"
"""Media type of bodies that may be a thousand times as large as they look."""

PAUSE_SECONDS = 0.005
"""Time between two looks whether a model that is to be closed has answered its last request."""

NO_CONTENT = Response(204)


class Tools(NamedTuple):
    """What all models of a process share."""

    settings: Settings
    loop: "asyncio.AbstractEventLoop"
    metrics: Metrics
    decoder: Decoder
    sessions: "Sessions | sessions.NoSessions"
    call: type[Call]

    @classmethod
    def of(cls, settings: Settings, loop: "asyncio.AbstractEventLoop") -> "Tools":
        """The tools that the settings ask for."""
        return cls(
            settings,
            loop,
            Metrics(),
            Decoder(loop, settings.max_queue),
            sessions.of(settings),
            access.LoggedCall if settings.access_log else Call,
        )


class Service:
    """A model, its queue, and the way through both. Called on the event loop."""

    def __init__(self, model: Model, batcher: Batcher, tools: Tools, memory: int = 0) -> None:
        """Make it of a model, its queue, and the memory that loading it took."""
        self.model = model
        self._memory = memory
        self._batcher = batcher
        self._tools = tools
        self._call = tools.call
        self._writes = model.writes
        self._foreign = "decode" in model.foreign
        self._decoding = 0

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer a request, now or later.

        Raises:
            ServingError: it cannot be answered; or whatever the model raises.
        """
        dialect: Dialect | None = None
        if request.path.startswith(PREFIX):
            dialect = self._dialect(request, reply)
            if dialect is None:
                return
        else:
            action = self._tools.sessions.action(request)
            if action is not None:
                done = partial(self._acted, reply, time.monotonic())
                self._tools.decoder.lane.run(partial(attempt, action), done)
                return
            if not request.body and not self._foreign:
                self._tools.metrics.answered(NO_CONTENT.status, 0.0)
                reply.send(NO_CONTENT)
                return
        self._batcher.admit(request.deadline)
        # The answer's type is settled before the model runs: a 406 costs no inference.
        accept = request.headers.get("accept", "")
        if self._writes and dialect is None:
            accept = media.choose(accept, self._writes)
        call = self._call(request, accept, reply)
        call.dialect = dialect
        if self._foreign:
            self._batcher.submit(call)
            return
        decode = (dialect or self.model).decode
        if len(request.body) <= INLINE_BODY and PACKED not in request.headers.get(
            "content-type", ""
        ):
            call.payload = decode(request)
            call.ready = time.monotonic()
            self._batcher.submit(call)
        else:
            decoder = self._tools.decoder
            decoder.admit(request.deadline)
            self._decoding += 1
            decoder.run(call, decode, partial(self._decoded, call))

    def memory(self) -> int:
        """Bytes that the model took when it was loaded."""
        return self._memory

    def finish(self, done: Callable[[], None]) -> None:
        """Answer what was begun, then close; ``done`` is called after that."""
        if self._decoding or not self._batcher.idle:
            self._tools.loop.call_later(PAUSE_SECONDS, self.finish, done)
        else:
            self.close()
            done()

    def close(self) -> None:
        """End the model's thread after the batch it runs."""
        self._batcher.close()
        footprint.meter.leaves(self._memory)

    def _dialect(self, request: Request, reply: Reply) -> Dialect | None:
        """How an inference request is read and answered; None: it is answered with metadata."""
        target = targets.read(request.path) or Target("")
        if target.action == targets.INFER:
            return oip.dialect(self.model, target)
        reply.send(oip.of_model(self.model, target))
        return None

    def _acted(self, reply: Reply, began: float, answer: Response) -> None:
        self._tools.metrics.answered(answer.status, time.monotonic() - began)
        reply.send(answer)

    def _decoded(self, call: Call, outcome: Payload | Response | None) -> None:
        self._decoding -= 1
        call.ready = time.monotonic()
        if outcome is None:
            call.abandon()
            return
        answer: Response | None
        if isinstance(outcome, Payload):
            call.payload = outcome
            answer = attempt(self._batcher.submit, call)
        else:
            answer = outcome
        if answer is not None:
            self._tools.metrics.answered(answer.status, call.ready - call.began)
            call.finish(answer)
