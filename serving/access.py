"""The access log: a line for each request but pings, written after its answer was handed over.

An application that keeps none does not pass through here.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from serving import identity, targets
from serving.call import Call, Handler, Reply
from serving.values import Request, Response

log = logging.getLogger("serving.access")

UNLOGGED = frozenset({"/ping", targets.LIVE, targets.READY})

LONGEST_PATH = 256
"""Characters of a path that are logged."""


def logged(handle: Handler, named: Callable[[Request], str | None]) -> Handler:
    """A handler that logs what ``handle`` answers; ``named`` says which model a request asks.

    A request without a name gets one, so that all that is logged of it has the same.
    """

    def handle_logged(request: Request, reply: Reply) -> None:
        if request.path not in UNLOGGED:
            request = request._replace(headers=identity.named(request.headers))
            reply = LoggedReply(request, reply, named(request))
        handle(request, reply)

    return handle_logged


class LoggedReply:
    """A reply channel that logs the answer."""

    __slots__ = ("_began", "_model", "_reply", "_request", "stages")

    def __init__(self, request: Request, reply: Reply, model: str | None) -> None:
        self._request = request
        self._reply = reply
        self._model = model
        self._began = time.monotonic()
        self.stages: dict[str, float] = {}
        """Seconds by stage, where a model was asked."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._reply.gone

    def send(self, response: Response) -> None:
        """Pass the answer on, and log it. Of a stream the time is that until it begins."""
        self._reply.send(response)
        request = self._request
        fields: dict[str, Any] = {
            "request_id": identity.of(request.headers),
            "method": request.method or None,
            "path": request.path[:LONGEST_PATH] or None,
            "model": self._model,
            "status": response.status,
            "bytes_in": len(request.body),
            "bytes_out": len(response.body) if isinstance(response.body, bytes) else None,
            "seconds": round(time.monotonic() - self._began, 6),
            **self.stages,
        }
        known = {name: value for name, value in fields.items() if value is not None}
        log.info("request", extra=known)


class LoggedCall(Call):
    """A call that tells its reply channel what its stages took."""

    __slots__ = ()

    def finish(self, answer: Response) -> None:
        """Send the answer, unless one was sent."""
        if self.stages is not None and isinstance(self.reply, LoggedReply):
            names = ("wait", "decode", "predict", "encode")
            microseconds = (round(seconds, 6) for seconds in self.stages)
            self.reply.stages = dict(zip(names, microseconds, strict=True))
        super().finish(answer)
