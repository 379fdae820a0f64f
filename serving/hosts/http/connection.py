"""One client connection: the order of its responses, back-pressure, and when it ends."""

import asyncio
import time
from collections import deque
from typing import cast

from serving import problems
from serving.errors import ServingError
from serving.hosts.http import wire
from serving.hosts.http.exchange import Exchange
from serving.hosts.http.receiver import Receiver
from serving.hosts.http.shared import Shared
from serving.values import Request, Response

PIPELINE = 64
"""Pipelined requests of a connection that are worked on at once; the rest waits."""

LINGER_SECONDS = 2.0
"""How long a refused client may go on sending before it is cut. Closing at once would make its
kernel throw away the response that says why."""


class Connection(asyncio.Protocol):
    """A connection, from its first byte to its last."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._handle = shared.application.handle
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._receiver = Receiver(self, shared)
        self.data_received = self._receiver.feed  # type: ignore[method-assign]  # one call less
        self._exchanges: deque[Exchange] = deque()  # in the order of their requests
        self._waiting: deque[tuple[Request, Exchange]] = deque()  # the last ones, beyond PIPELINE
        self._advancing = False
        self._continue_due = False
        self._refused = False  # the last response refuses what the client sends
        self._ending = False  # the connection ends after the last response
        self._draining = False
        self._blocked_since = 0.0  # since when the client has not read what was written
        self._writable: asyncio.Event | None = None  # made when a stream first has to wait
        self.lost = False
        """The client has left, or was cut."""

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._shared.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The connection has ended, whoever ended it."""
        self.lost = True
        self._shared.closed(self)
        self._waiting.clear()
        if self._writable is not None:
            self._writable.set()
        for exchange in self._exchanges:
            exchange.abandon()

    def eof_received(self) -> bool:
        """The client sends no more; it may well be reading still."""
        self._receiver.end()
        self._ending = True
        return bool(self._exchanges)

    def pause_writing(self) -> None:
        """The client reads slower than it asks: read no more requests until it catches up."""
        self._blocked_since = time.monotonic()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._blocked_since = 0.0
        if self._writable is not None:
            self._writable.set()
        if not self._waiting:
            self._transport.resume_reading()

    # What the receiver calls.

    def received(self, request: Request, *, current: bool, keep_alive: bool) -> None:
        """Answer a request, unless many before it wait for their answers still."""
        exchange = Exchange(self, request.method == "HEAD", current, keep_alive)
        if not keep_alive:
            self._ending = True
        self._exchanges.append(exchange)
        if len(self._exchanges) <= PIPELINE and not self._waiting:
            self._handle(request, exchange)
        else:
            self._waiting.append((request, exchange))
            self._transport.pause_reading()

    def expects_continue(self) -> None:
        """Let the client send its body, after the responses that come before."""
        if self._exchanges:
            self._continue_due = True
        else:
            self._transport.write(wire.CONTINUE)

    def refuse(self, error: BaseException) -> None:
        """Answer an unreadable request in its turn, then end."""
        self._refused = self._ending = True
        self._continue_due = False
        exchange = Exchange(self, head_only=False, current=True, keep_alive=False)
        self._exchanges.append(exchange)
        exchange.send(problems.response(error))

    # What the exchanges call.

    def flush(self) -> None:
        """Write the responses that are there, in the order of their requests."""
        exchanges = self._exchanges
        while exchanges and not self.lost:
            exchange = exchanges[0]
            response = exchange.response
            if response is None or exchange.streaming:
                return
            if not isinstance(response.body, bytes):
                exchange.stream(response, self._shared.loop)
                return
            exchanges.popleft()
            self._write(exchange, response, response.body)
        self._next()

    def streamed(self) -> None:
        """Go on after the first exchange, which has written the last of its stream."""
        if not self.lost:
            self._exchanges.popleft()
            self.flush()

    def head(self, exchange: Exchange, response: Response, framing: bytes) -> bytes:
        """Status line and header section, the empty line included.

        Raises:
            PredictionError: a header field would break the message.
        """
        head = wire.head(response.status, response.content_type, response.headers)
        last = self._ending and len(self._exchanges) == exchange.streaming
        if last or self._draining or not exchange.keep_alive:
            self._ending = True
            framing += wire.CLOSE
        elif not exchange.current:
            framing += wire.KEEP_ALIVE
        return b"%b%b%b\r\n" % (head, self._shared.date, framing)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    async def writable(self) -> None:
        """Wait until the client has read enough of what was written."""
        if self._blocked_since and not self.lost:
            self._writable = asyncio.Event()
            await self._writable.wait()

    def abort(self) -> None:
        """Cut the connection: the only way to end a broken stream visibly."""
        self._transport.abort()

    # What the worker calls.

    @property
    def busy(self) -> bool:
        """Whether a request is being received or answered."""
        return bool(self._exchanges) or self._receiver.active

    def drain(self) -> None:
        """End after the requests that were begun; at once if there are none."""
        self._draining = True
        if not self.busy:
            self._transport.close()

    def sweep(self, now: float) -> None:
        """Enforce the time limits. Called about every second, so that no request needs a timer."""
        receiver, limits = self._receiver, self._shared.limits
        if self._blocked_since:
            if now - self._blocked_since > limits.request_timeout:
                self.abort()
        elif receiver.active:
            receiver.check_time(now)
        elif not self._exchanges:
            patience = LINGER_SECONDS if self._refused else limits.idle_timeout
            if now - receiver.since > patience:
                self.abort()

    # Inside.

    def _write(self, exchange: Exchange, response: Response, body: bytes) -> None:
        try:
            head = self.head(exchange, response, wire.length(response.status, body))
        except ServingError as error:
            self._write(exchange, *wire.plain(problems.response(error)))
            return
        self._transport.write(head if exchange.head_only else head + body)

    def _next(self) -> None:
        """After a response: the waiting requests, a due 100 Continue, or the end."""
        if self._waiting and not self._advancing:
            self._advance()
        if self._exchanges or self.lost:
            return
        if self._continue_due:
            self._continue_due = False
            self._transport.write(wire.CONTINUE)
        if self._refused:
            self._transport.write_eof()
        elif self._ending or (self._draining and not self._receiver.active):
            self._transport.close()

    def _advance(self) -> None:
        """Work on requests that waited; those answered at once make room for more."""
        self._advancing = True
        while self._waiting and len(self._exchanges) - len(self._waiting) < PIPELINE:
            self._handle(*self._waiting.popleft())
        self._advancing = False
        if not self._waiting and not self._blocked_since and not self.lost:
            self._transport.resume_reading()
