"""One client connection: the order of its responses, back-pressure, and when it ends."""

import asyncio
import socket
import struct
import time
from collections import deque
from typing import cast

from serving import problems
from serving.access import LoggedReply
from serving.errors import ServingError
from serving.hosts.http import wire
from serving.hosts.http.exchange import Exchange
from serving.hosts.http.receiver import Receiver
from serving.hosts.http.shared import Shared
from serving.values import Request, Response

PIPELINE = 64
"""Pipelined requests of a connection that are worked on at once; the rest waits."""

LINGER_SECONDS = 2.0
"""How long a client may go on sending after the last response before it is cut. Closing at once
would make its kernel throw away that response (RFC 9112, 9.6)."""

PARTING_SECONDS = 0.5
"""How long a connection without a request stays open while the server stops: a request may be on
its way, and closing at once would lose it."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER's on, and no time to linger: closing resets the connection."""


class Connection(asyncio.Protocol):
    """A connection, from its first byte to its last."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._handle = shared.handle
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._receiver = Receiver(self, shared)
        self.data_received = self._receiver.feed  # type: ignore[method-assign]  # one call less
        self._exchanges: deque[Exchange] = deque()  # in the order of their requests
        self._waiting: deque[tuple[Request, Exchange]] = deque()  # the last ones, beyond _room
        self._room = PIPELINE  # none while the client does not read, and after the end
        self._advancing = False
        self._continue_due = False
        self._finished = False  # the client sends no more
        self._ending = False  # the connection ends after the last response
        self._ended = False  # the head of the last response was written
        self._draining = False
        self._half_closes = True  # a side can end what it sends; not with TLS
        self._blocked_since = 0.0  # since when the client has not read what was written
        self._writable: asyncio.Event | None = None  # made when a stream first has to wait
        self.lost = False
        """The client has left, or was cut."""

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._half_closes = self._transport.can_write_eof()
        self._draining = self._shared.application.draining
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
        self._finished = self._ending = True
        self._receiver.end()
        return self._half_closes and bool(self._exchanges)

    def pause_writing(self) -> None:
        """The client reads slower than it asks: read no more requests until it catches up."""
        self._blocked_since = time.monotonic()
        self._room = 0
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._blocked_since = 0.0
        if self._writable is not None:
            self._writable.set()
        if not self._ended:
            self._room = PIPELINE
        self._advance()

    # What the receiver calls.

    def received(self, request: Request, *, current: bool, keep_alive: bool) -> None:
        """Answer a request, unless many before it wait for their answers still."""
        exchange = Exchange(self, request.method == "HEAD", current, keep_alive)
        if not keep_alive:
            self._ending = True
        self._continue_due = False  # the body came without it
        self._exchanges.append(exchange)
        if len(self._exchanges) <= self._room:
            self._handle(request, exchange)
        elif self._ended:
            self._exchanges.pop()
        else:
            self._waiting.append((request, exchange))
            self._transport.pause_reading()

    def expects_continue(self) -> None:
        """Let the client send its body, after the responses that come before."""
        if self._exchanges:
            self._continue_due = True
        elif not self._ended:
            self._transport.write(wire.CONTINUE)

    def refuse(self, error: BaseException, request: Request) -> None:
        """Answer an unreadable request in its turn, then end."""
        self._ending = True
        self._continue_due = False
        exchange = Exchange(self, head_only=False, current=True, keep_alive=False)
        self._exchanges.append(exchange)
        answer = problems.response(error, request)
        shared = self._shared
        shared.application.metrics.refused(answer.status)
        reply = LoggedReply(request, exchange, None) if shared.access_log else exchange
        reply.send(answer)

    # What the exchanges call.

    def flush(self) -> None:
        """Write the responses that are there, in the order of their requests."""
        exchanges = self._exchanges
        while exchanges and not self.lost:
            exchange = exchanges[0]
            response = exchange.response
            if response is None or exchange.streaming:
                break
            if not isinstance(response.body, bytes):
                exchange.stream(response, self._shared.loop)
                break
            exchanges.popleft()
            self._write(exchange, response, response.body)
        self._next()

    def streamed(self) -> None:
        """Go on after the first exchange, which has written the last of its stream."""
        if not self.lost:
            self._exchanges.popleft()
            self.flush()

    def break_off(self, *, reset: bool) -> None:
        """End in the midst of a stream; ``reset``: nothing else would tell the client."""
        if self.lost:
            return
        self._end(0)
        if reset:
            client = self._transport.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()
        else:
            self._next()

    def head(self, exchange: Exchange, response: Response, framing: bytes) -> bytes:
        """Status line and header section, the empty line included.

        Raises:
            PredictionError: a header field would break the message.
        """
        head = wire.head(response.status, response.content_type, response.headers)
        if not exchange.keep_alive or (
            (self._ending or self._draining)
            and len(self._exchanges) == exchange.streaming
            and not self._receiver.active
        ):
            self._end(exchange.streaming)
            framing += wire.CLOSE
        elif not exchange.current:
            framing += wire.KEEP_ALIVE
        return b"%b%b%b\r\n" % (head, self._shared.date, framing)

    def write(self, data: bytes) -> None:
        """Send bytes, if anybody is there to read them."""
        if not self.lost:
            self._transport.write(data)

    async def writable(self) -> None:
        """Wait until the client has read enough of what was written."""
        if self._blocked_since and not self.lost:
            self._writable = asyncio.Event()
            await self._writable.wait()

    # What the worker calls.

    @property
    def busy(self) -> bool:
        """Whether a request is being received or answered."""
        return bool(self._exchanges) or self._receiver.active

    def drain(self, now: float) -> None:
        """End after the requests that were begun; called until the connection is closed."""
        self._draining = True
        if self.busy or now - self._receiver.since <= PARTING_SECONDS:
            return
        if self._half_closes or self._ended or self._transport.get_write_buffer_size():
            self._transport.close()
        else:
            # With TLS, closing would wait for the goodbye of a client that expects nothing.
            self._transport.abort()

    def sweep(self, now: float) -> None:
        """Enforce the time limits. Called about every second, so that no request needs a timer."""
        receiver, limits = self._receiver, self._shared.limits
        blocked = self._blocked_since
        if blocked and now - blocked > limits.request_timeout:
            self._transport.abort()
        elif blocked or self._waiting or self._continue_due:
            receiver.hold(now)
        elif receiver.active:
            receiver.check_time(now)
        elif self._exchanges:
            receiver.hold(now)
        elif now - receiver.since > self._patience:
            self._transport.abort()

    # Inside.

    @property
    def _patience(self) -> float:
        # A transport with TLS does not count what waits below it.
        written = self._half_closes and not self._transport.get_write_buffer_size()
        return LINGER_SECONDS if self._ended and written else self._shared.limits.idle_timeout

    def _write(self, exchange: Exchange, response: Response, body: bytes) -> None:
        framing = wire.length(response.status, body)
        try:
            head = self.head(exchange, response, framing)
        except ServingError as error:
            self._write(exchange, *wire.plain(problems.response(error)))
            return
        self._transport.write(head if exchange.head_only or not framing else head + body)

    def _end(self, kept: int) -> None:
        """Nothing follows the response that is being written; ``kept``: it is in the queue."""
        self._receiver.stop()
        self._ended = True
        self._continue_due = False
        self._room = 0
        self._waiting.clear()
        while len(self._exchanges) > kept:
            self._exchanges.pop()

    def _next(self) -> None:
        """After a response: the waiting requests, a due 100 Continue, or the end."""
        if self._waiting and not self._advancing:
            self._advance()
        if self._exchanges or self.lost:
            return
        if self._ended and not self._finished and self._half_closes:
            self._transport.write_eof()
        elif self._ended or (self._draining and not self._receiver.active):
            self._transport.close()
        elif self._continue_due:
            self._continue_due = False
            self._transport.write(wire.CONTINUE)

    def _advance(self) -> None:
        """Work on requests that waited; those answered at once make room for more."""
        self._advancing = True
        while self._waiting and len(self._exchanges) - len(self._waiting) < self._room:
            self._handle(*self._waiting.popleft())
        self._advancing = False
        if not self._waiting and not self._blocked_since and not self.lost:
            self._transport.resume_reading()
