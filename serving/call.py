"""One request on its way through a model."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from serving.errors import DeadlineExceeded
from serving.values import Payload, Prediction, Request, Response

if TYPE_CHECKING:
    import asyncio


class Reply(Protocol):
    """Where the answer to one request goes."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""

    def send(self, response: Response) -> None:
        """Take the answer; called once, on the event loop."""


Handler = Callable[[Request, Reply], None]
"""Answers a request on its reply channel, now or later."""


class Dialect(Protocol):
    """Reads one request and writes its answer, in the place of the model's own functions."""

    def decode(self, request: Request) -> Payload:
        """What the model is asked. Raises RequestError."""

    def encode(self, prediction: Prediction, accept: str, request: Request) -> Response:
        """The model's answer. Raises ServingError."""


class Call:
    """One request on its way through a model."""

    __slots__ = (
        *("accept", "began", "dialect", "finished", "payload", "ready", "reply", "request"),
        *("stages", "timer"),
    )

    def __init__(self, request: Request, accept: str, reply: Reply) -> None:
        self.request = request
        self.accept = accept
        self.reply = reply
        self.began = self.ready = time.monotonic()
        """When the request came, and when its payload was decoded, if it is."""
        self.payload: Payload | None = None
        self.dialect: Dialect | None = None
        """None: the model's own."""
        self.stages: tuple[float, float, float, float] | None = None
        """Seconds it waited and was decoded, predicted and encoded, once it was."""
        self.finished = False
        self.timer: asyncio.TimerHandle | None = None

    def finish(self, answer: Response) -> None:
        """Send the answer, unless one was sent: a late result is dropped."""
        if not self.finished:
            self.finished = True
            if self.timer is not None:
                self.timer.cancel()
            self.reply.send(answer)

    def abandon(self) -> None:
        """Send nothing: nobody waits for the answer."""
        self.finished = True
        if self.timer is not None:
            self.timer.cancel()


def too_late(where: str) -> DeadlineExceeded:
    """The request's deadline passed; ``where`` is its place relative to the model."""
    return DeadlineExceeded(f"The request ran out of time {where} the model.")
