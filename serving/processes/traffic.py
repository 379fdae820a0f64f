"""The requests that a model's process is asked, and what becomes of them."""

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial

from serving import problems
from serving.admission import overloaded
from serving.call import Reply, too_late
from serving.errors import ServingError
from serving.metrics import Metrics
from serving.processes import messages
from serving.processes.bodies import Body
from serving.processes.channel import Channel
from serving.processes.messages import Kind
from serving.values import Request

SWEEP_SECONDS = 0.1
"""Time between two looks at what is under way: whose client has left, whose time is over."""

GRACE_SECONDS = 1.0
"""Time after a deadline that the process has to say so itself; then the server does."""


class Pending:
    """A request that the process has not answered to the end."""

    __slots__ = ("began", "body", "deadline", "reply", "request")

    def __init__(self, request: Request, reply: Reply) -> None:
        self.request = request._replace(body=b"")
        self.reply: Reply | None = reply
        """None: it was answered here."""
        self.deadline = request.deadline
        self.began = time.monotonic()
        self.body: Body | None = None
        """That of the answer, if it is streamed."""


class Traffic:
    """Passes requests to a process, and its answers to those who asked. Called on the event loop.

    No request needs a task or a timer: a sweep now and then looks at those that are under way.
    """

    def __init__(
        self,
        channel: Channel,
        loop: asyncio.AbstractEventLoop,
        *,
        max_queue: int,
        patience: float,
        metrics: Metrics,
        idle: Callable[[], None],
        stuck: Callable[[], None],
    ) -> None:
        """Receive what comes on a channel.

        Args:
            channel: The way to the process.
            loop: The event loop.
            max_queue: Most requests under way while the process does not read.
            patience: Seconds that the process may be silent while a request is overdue.
            metrics: Counts the answers that are given here instead of by the process.
            idle: Called whenever nothing is under way any more.
            stuck: Called when the process has been silent for longer than that.
        """
        self.touched = False
        """Whether a request was asked or answered since this was last set to False."""
        self._channel = channel
        self._loop = loop
        self._max_queue = max_queue
        self._patience = patience
        self._metrics = metrics
        self._idle = idle
        self._stuck = stuck
        self._number = 0
        self._pending: dict[int, Pending] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        channel.receivers |= {
            Kind.RESPONSE: self._respond,
            Kind.STREAM: self._stream,
            Kind.CHUNK: self._chunk,
            Kind.END: self._end,
            Kind.ERROR: self._break_off,
        }

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return bool(self._pending)

    def ask(self, request: Request, reply: Reply) -> None:
        """Pass on a request.

        Raises:
            Overloaded: the process has too much to do to read it.
            BadRequest: a header field is no text.
        """
        # The model's own queue is in its process; here waits what that has no time to read.
        if self._channel.full and len(self._pending) >= self._max_queue:
            raise overloaded(len(self._pending), 0.0)
        head = messages.write_request(request)
        number = self._number = self._number + 1
        pending = self._pending[number] = Pending(request, reply)
        self.touched = True
        if self._sweeper is None:
            self._channel.heard = pending.began  # before, it had no reason to say anything
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        self._channel.send(Kind.REQUEST, number, head, request.body)

    def end(self, error: ServingError) -> None:
        """Answer all that is under way with an error. Nobody is called after that."""
        self.fail(error)
        self._idle = self._stuck = _nothing

    def fail(self, error: ServingError) -> None:
        """Answer all that is under way with an error."""
        pending, self._pending = self._pending, {}
        for one in pending.values():
            self._answer(one, error)

    # What the process sends.

    def _respond(self, number: int, head: bytes, body: bytes) -> None:
        pending = self._pending.pop(number, None)
        if pending is not None and pending.reply is not None:
            pending.reply.send(messages.read_response(head, body))
        self._settled()

    def _stream(self, number: int, head: bytes, _body: bytes) -> None:
        pending = self._pending.get(number)
        if pending is None or pending.reply is None:
            self._cancel(number)
            return
        want = partial(self._channel.send, Kind.NEXT, number)
        pending.body = Body(self._loop, want, partial(self._cancel, number))
        pending.deadline = math.inf
        pending.reply.send(messages.read_response(head, pending.body))

    def _chunk(self, number: int, _head: bytes, chunk: bytes) -> None:
        pending = self._pending.get(number)
        if pending is not None and pending.body is not None:
            pending.body.take(chunk)

    def _end(self, number: int, _head: bytes, _body: bytes) -> None:
        self._end_body(number, None)

    def _break_off(self, number: int, head: bytes, body: bytes) -> None:
        self._end_body(number, messages.read_error(head, body))

    # Inside.

    def _end_body(self, number: int, error: ServingError | None) -> None:
        pending = self._pending.pop(number, None)
        if pending is not None and pending.body is not None:
            pending.body.end(error)
        self._settled()

    def _cancel(self, number: int) -> None:
        """Nobody waits for an answer, or for the rest of it."""
        self._pending.pop(number, None)
        self._channel.send(Kind.CANCEL, number)
        self._settled()

    def _settled(self) -> None:
        self.touched = True
        if not self._pending:
            self._idle()

    def _sweep(self) -> None:
        now = time.monotonic()
        overdue = False
        for number, pending in list(self._pending.items()):
            if pending.reply is not None and pending.reply.gone:
                self._cancel(number)
            elif pending.deadline + GRACE_SECONDS <= now:
                overdue = True
                self._answer(pending, too_late("in"))
        if overdue and now - self._channel.heard >= self._patience:
            self._stuck()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep) if self._pending else None

    def _answer(self, pending: Pending, error: ServingError) -> None:
        """Answer in the place of the process."""
        reply, pending.reply = pending.reply, None
        if pending.body is not None:
            pending.body.end(error)
        elif reply is not None:
            answer = problems.response(error, pending.request)
            self._metrics.answered(answer.status, time.monotonic() - pending.began)
            reply.send(answer)


def _nothing() -> None:
    return
