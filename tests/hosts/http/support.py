"""What the tests of the HTTP host share: the host on a loop of its own, and a strict client."""

import asyncio
import json
import queue
import re
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import uvloop

from serving.call import Reply
from serving.errors import NotFound
from serving.hosts.http.connection import Connection
from serving.hosts.http.shared import Limits, Shared
from serving.metrics import Metrics
from serving.problems import response
from serving.values import Request, Response

if TYPE_CHECKING:
    from serving.application import Application

T = TypeVar("T")

PATIENCE = 20.0
"""Longest wait for anything, in seconds: a test that waits so long fails."""

DATE = b"date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
PONG = b"HTTP/1.1 200 OK\r\n" + DATE + b"content-length: 0\r\n\r\n"
HOLD = b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS = Limits(
    max_head=1024, max_body=4096, request_timeout=60.0, receive_timeout=30.0, idle_timeout=75.0
)

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [ -~]*")
_FIELD = re.compile(rb"([a-z0-9-]+): ([!-~](?:[ -~]*[!-~])?)")
_CHUNK = re.compile(rb"([1-9a-f][0-9a-f]*|0)")


class Answer(NamedTuple):
    """A response, taken apart strictly."""

    status: int
    fields: dict[str, str]
    body: bytes
    raw: bytes
    """All of its bytes, framing too."""

    @property
    def error(self) -> dict[str, Any]:
        """The error in the body; the test fails if it is not the one form that errors have."""
        assert self.fields["content-type"] == "application/json"
        error = dict(json.loads(self.body))
        assert list(error) == ["code", "type", "message"]
        assert error["code"] == self.status
        return error


class Client:
    """A blocking connection that reads no byte more than a response has, and forgives nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._taken = bytearray()

    def send(self, *pieces: bytes) -> None:
        """Send each piece in a segment of its own."""
        for piece in pieces:
            self.sock.sendall(piece)

    def ask(self, *pieces: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(*pieces)
        return self.answer(head_only=pieces[0].startswith(b"HEAD "))

    def answer(self, *, head_only: bool = False) -> Answer:
        """Read one response."""
        lines = [self._line()]
        while line := self._line():
            lines.append(line)
        match = _STATUS_LINE.fullmatch(lines[0])
        assert match, lines[0]
        status = int(match[1])
        fields: dict[str, str] = {}
        for line in lines[1:]:
            field = _FIELD.fullmatch(line)
            assert field, line
            name, value = field[1].decode(), field[2].decode()
            assert name not in fields
            fields[name] = value
        head = b"".join(line + b"\r\n" for line in [*lines, b""])
        assert ("date" in fields) == (status >= 200)
        bodiless = head_only or status < 200 or status in {204, 304}
        body, raw = (b"", b"") if bodiless else self._body(fields)
        return Answer(status, fields, body, head + raw)

    def _body(self, fields: dict[str, str]) -> tuple[bytes, bytes]:
        if "content-length" in fields:
            assert "transfer-encoding" not in fields
            body = self.exactly(int(fields["content-length"]))
            return body, body
        if "transfer-encoding" in fields:
            assert fields["transfer-encoding"] == "chunked"
            return self._chunks()
        assert fields["connection"] == "close"
        body = self.rest()
        return body, body

    def _chunks(self) -> tuple[bytes, bytes]:
        body = raw = b""
        while True:
            size, chunk = self.chunk()
            raw += b"%b\r\n%b\r\n" % (size, chunk)
            body += chunk
            if not chunk:
                return body, raw

    def chunk(self) -> tuple[bytes, bytes]:
        """One chunk of a body: its size as it was sent, and its data; empty for the last one."""
        size = self._line()
        assert _CHUNK.fullmatch(size), size
        data = self.exactly(int(size, 16))
        assert self._line() == b""
        return size, data

    def head(self) -> bytes:
        """The next response's head, the empty line included."""
        lines = b""
        while line := self._line():
            lines += line + b"\r\n"
        return lines + b"\r\n"

    def _line(self) -> bytes:
        while b"\r\n" not in self._taken:
            self._take()
        line = self.exactly(self._taken.index(b"\r\n"))
        del self._taken[:2]
        return line

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._taken) < size:
            self._take()
        data = bytes(self._taken[:size])
        del self._taken[:size]
        return data

    def _take(self) -> None:
        data = self.sock.recv(65536)
        assert data, f"the connection ended after {self._taken!r}"
        self._taken += data

    def rest(self) -> bytes:
        """All that comes before the server ends the connection."""
        while data := self.sock.recv(1 << 20):
            self._taken += data
        return self.exactly(len(self._taken))

    def ended(self) -> bool:
        """Whether the server ends the connection without another byte; waits until it does."""
        return not self.rest()

    def cut(self) -> bool:
        """Whether the server ends the connection, in whatever way; waits until it does."""
        try:
            self.rest()
        except ConnectionError:
            self._taken.clear()
        return True

    def finish(self) -> None:
        """Send no more, but go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave at once, as a process does that is killed with data unread."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Held:
    """A request that waits for its answer until the test gives one."""

    def __init__(self, host: "Host", request: Request, reply: Reply) -> None:
        self._host = host
        self.request = request
        self.reply = reply

    def answer(self, body: bytes) -> None:
        """Answer it."""
        self._host.call(partial(self.reply.send, Response(200, body)))


class Source:
    """A streamed body that the test makes bit by bit."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        self.closed = threading.Event()
        """The generator has ended, and its ``finally`` has run."""
        self.taken = 0
        """Chunks that were asked for."""

    def put(self, *items: bytes | BaseException | None) -> None:
        """Hand over chunks, an error to raise, or None for the end."""
        for item in items:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body."""
        try:
            while True:
                self.taken += 1
                item = await self._queue.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.closed.set()


class App:
    """What the host serves here: a constant, an echo, held answers, and what a test adds."""

    draining = False
    paths = ("/ping", "/echo", "/hold")

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.held: queue.SimpleQueue[tuple[Request, Reply]] = queue.SimpleQueue()
        self.makers: dict[str, Callable[[], Response]] = {}
        """Paths whose answers a test makes."""
        self.requests: list[Request] = []
        """All that were received, in their order."""

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer, or hold the request."""
        self.requests.append(request)
        if request.path in self.makers:
            reply.send(self.makers[request.path]())
        elif request.path == "/ping":
            reply.send(Response(200))
        elif request.path == "/echo":
            reply.send(Response(200, _description(request), "application/json"))
        elif request.path == "/hold":
            self.held.put((request, reply))
        else:
            reply.send(response(NotFound(f"There is nothing at {request.path!r}.")))


def _description(request: Request) -> bytes:
    method, path, headers, body, query, *_ = request
    parts = [method, path, query, sorted(headers.items()), body.decode("latin-1")]
    return json.dumps(parts).encode()


class Host:
    """The host under test, on a loop in a thread. What it lets slip fails the test at its end."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.app = App()
        self.loop = uvloop.new_event_loop()
        self.shared = Shared(cast("Application", self.app), limits, self.loop)
        self.shared.date = DATE
        self.slips: list[dict[str, Any]] = []
        """What reached the loop's exception handler."""
        self.loop.set_exception_handler(lambda _, context: self.slips.append(context))
        self._clients = ExitStack()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._server = self.run(
            self.loop.create_server(lambda: Connection(self.shared), "127.0.0.1", 0)
        )
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()

    def run(self, awaitable: Any) -> Any:
        """What an awaitable gives, awaited on the loop."""

        async def wait() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(wait(), self.loop).result(PATIENCE)

    def call(self, function: Callable[[], T]) -> T:
        """What a function gives, called on the loop."""

        async def call() -> T:
            return function()

        return cast("T", self.run(call()))

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true on the loop."""

        async def wait() -> None:
            deadline = time.monotonic() + PATIENCE
            while not condition():
                assert time.monotonic() < deadline
                await asyncio.sleep(0)

        self.run(wait())

    def connect(self, *, receive_buffer: int = 0) -> Client:
        """A new connection; ``receive_buffer``: bytes that the kernel keeps for a slow reader."""
        sock = self._clients.enter_context(socket.socket())
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(self.address)
        return Client(sock)

    @property
    def connection(self) -> Connection:
        """The server's side of the only connection."""
        self.until(lambda: len(self.shared.connections) == 1)
        (connection,) = self.shared.connections
        return cast("Connection", connection)

    def held(self) -> Held:
        """The next request that waits for an answer."""
        return Held(self, *self.app.held.get(timeout=PATIENCE))

    def source(self, path: str, *, status: int = 200) -> Source:
        """A body that is streamed at the path."""
        source = Source(self.loop)
        self.app.makers[path] = lambda: Response(status, source.chunks(), "text/plain")
        return source

    def sweep(self, seconds: float) -> None:
        """Enforce the time limits as if so many seconds had gone by."""
        now = time.monotonic() + seconds
        self.call(lambda: [one.sweep(now) for one in list(self.shared.connections)])

    def close(self) -> None:
        """Stop. Fails if an exception escaped, or a connection outlives its client."""
        self._clients.close()
        self._server.close()
        self.run(self._server.wait_closed())
        try:
            self.until(lambda: not self.shared.connections)
        finally:
            self.call(lambda: [one._transport.abort() for one in self.shared.connections])
            self.until(lambda: not self.shared.connections)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()
        assert not self.slips
