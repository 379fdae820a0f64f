"""Bytes into requests (RFC 9112), with the limits a parser leaves to its caller.

The parser is llhttp in its strict mode, which refuses conflicting, doubled and malformed framing.
What else a head must be is in rules.py; how much a client may send, and how slowly, is held here.
"""

import time
from typing import Protocol

import httptools

from serving.errors import BadRequest, NotImplementedByServer, RequestTimeout, ServingError
from serving.hosts import messages
from serving.hosts.http import rules
from serving.hosts.http.heads import END_OF_HEAD
from serving.hosts.http.shared import Shared
from serving.values import Request


class Sink(Protocol):
    """What becomes of the requests."""

    def received(self, request: Request, *, current: bool, keep_alive: bool) -> None:
        """Take a whole request; ``current``: it is HTTP/1.1, not 1.0."""

    def expects_continue(self) -> None:
        """The client waits for leave to send the body."""

    def refuse(self, error: BaseException, request: Request) -> None:
        """Answer with the error and read no more: what follows cannot be understood.

        ``request`` has what came of it, and nothing in place of what did not.
        """


class Receiver:
    """Receives the requests of one connection. Once it has refused one, it takes no more bytes."""

    def __init__(self, sink: Sink, shared: Shared) -> None:
        self._sink = sink
        self._shared = shared
        self._limits = shared.limits
        self._parser = httptools.HttpRequestParser(self)
        self.active = False
        """A request has begun and is not whole yet."""
        self.since = time.monotonic()
        """When bytes last came."""
        self._began = 0.0
        self._stopped = False
        self._last = False  # no request follows the one that was received
        self._first_head = b""  # of the bytes being parsed, if a request begins there
        self._in_head = False
        self._new = False  # the request began in the bytes being parsed
        self._taken = 0  # bytes of an unfinished request, since its first ones
        self._head_bytes = 0
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: bytes | bytearray = b""

    def feed(self, data: bytes) -> None:
        """Take bytes; complete requests go to the sink."""
        if self._stopped:
            return
        self.since = time.monotonic()
        self._first_head = b""
        if not self.active:
            data = self._known(data)
            if not data:
                return
            self._first_head = data[: data.find(END_OF_HEAD) + len(END_OF_HEAD)]
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
            except httptools.HttpParserCallbackError as error:
                cause = error.__context__
                self._refuse(cause if isinstance(cause, ServingError) else error)
                break
            except httptools.HttpParserError as error:
                if not self._last:  # bytes after a request that closes the connection mean nothing
                    self._refuse(rules.invalid(self._parser.get_http_version(), str(error)))
                break
        if self._stopped:
            self.active = False
        elif self.active:  # the request goes on in the next bytes
            self._bound(len(data))

    def end(self) -> None:
        """The client sends no more."""
        if self.active:
            self._refuse(BadRequest("The request ended before it was complete."))

    def stop(self) -> None:
        """Take no more bytes: nothing that is sent now will be answered."""
        self._stopped = True
        self.active = self._in_head = False

    def hold(self, now: float) -> None:
        """The client waits for the server: its time to go on starts anew."""
        self.since = self._began = now

    def check_time(self, now: float) -> None:
        """Refuse a request that is too slow to arrive."""
        limits = self._limits
        silent, taken = now - self.since, now - self._began
        if silent > limits.receive_timeout or taken > limits.request_timeout:
            self._refuse(
                RequestTimeout(
                    f"The request did not arrive whole: it may be silent for "
                    f"{limits.receive_timeout:g} s and take {limits.request_timeout:g} s."
                )
            )

    # What the parser calls, several times for one request.

    def on_message_begin(self) -> None:
        """A request begins."""
        self.active = self._in_head = self._new = True
        self._began = self.since
        self._head_bytes = 0
        self._url = self._body = b""
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer, none of which means anything here."""
        if not self._in_head:
            return
        self._head_bytes += len(name) + len(value) + 4
        key = self._shared.names.get(name) or self._shared.name(name)
        headers = self._headers
        if key not in headers:
            headers[key] = value.decode("latin-1").rstrip()
        elif key == "host":
            raise BadRequest("The request has more than one Host field.")
        elif self._head_bytes > self._limits.max_head:
            raise rules.head_too_large(self._limits)
        else:
            headers[key] += ", " + value.decode("latin-1").rstrip()

    def on_headers_complete(self) -> None:
        """The head is whole: decide whether the body may come."""
        self._in_head = False
        if self._head_bytes + len(self._url) > self._limits.max_head:
            raise rules.head_too_large(self._limits)
        parser, headers = self._parser, self._headers
        version = parser.get_http_version()
        rules.check(version, headers, self._limits)
        if "expect" in headers and version == "1.1" and not parser.should_upgrade():
            self._sink.expects_continue()

    def on_body(self, body: bytes) -> None:
        """A piece of the body, without its chunks' framing."""
        if self._body:
            self._append(body)
        elif len(body) > self._limits.max_body:
            raise messages.body_too_large(self._limits.max_body)
        else:
            self._body = body

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.active = False
        parser = self._parser
        if parser.should_upgrade():
            if parser.get_method() == b"CONNECT":
                raise NotImplementedByServer("CONNECT is not supported: this is no proxy.")
            return  # the parser has skipped the body; see _without_upgrade
        path, _, query = self._url.partition(b"?")
        body, self._body = self._body, b""
        keep_alive = parser.should_keep_alive()
        self._last = not keep_alive
        request = Request(
            parser.get_method().decode(),
            self._shared.paths.get(path) or rules.path(path),
            self._headers,
            bytes(body),
            query.decode("latin-1"),
            self.since + self._limits.request_timeout,
            path.decode("latin-1"),
        )
        self._url = b""
        current = parser.get_http_version() == "1.1"
        head, self._first_head = self._first_head, b""
        if head and current and keep_alive:
            self._shared.heads.remember(head, request)
        self._sink.received(request, current=current, keep_alive=keep_alive)

    # Inside.

    def _known(self, data: bytes) -> bytes:
        """Receive the requests whose heads were received before; the bytes that are left."""
        heads, start, stop = self._shared.heads, 0, len(data)
        deadline = self.since + self._limits.request_timeout
        while not self._last and start < stop:
            end = data.find(END_OF_HEAD, start) + len(END_OF_HEAD)
            known = heads.get(data[start:end])
            if known is None or stop < end + known.length:
                break
            start = end + known.length
            body = data[end:start]
            request = Request(
                known.method,
                known.path,
                known.headers,
                body,
                known.query,
                deadline,
                known.target,
            )
            self._sink.received(request, current=True, keep_alive=True)
        return data[start:]

    def _refuse(self, error: BaseException) -> None:
        if not self._stopped:
            self.stop()
            self._sink.refuse(error, self._partial())

    def _partial(self) -> Request:
        """What came of the request that is being received, which may be nothing."""
        if not self._url:
            return Request("", "", {}, b"")
        path, _, query = self._url.partition(b"?")
        method = self._parser.get_method().decode()
        headers, body = self._headers, bytes(self._body)
        return Request(method, rules.path(path), headers, body, query.decode("latin-1"))

    def _without_upgrade(self) -> bytes:
        """The head again, without the offer to change the protocol, for a fresh parser.

        A server may ignore Upgrade (RFC 9110, 7.8), and Java's client offers h2c by default; but
        the parser takes all that follows such a head for the other protocol, the body too.
        """
        method, version = self._parser.get_method().decode(), self._parser.get_http_version()
        self._parser = httptools.HttpRequestParser(self)
        self._first_head = b""
        fields = [f"{name}: {value}" for name, value in self._headers.items() if name != "upgrade"]
        lines = [f"{method} {self._url.decode('latin-1')} HTTP/{version}", *fields, "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def _append(self, body: bytes) -> None:
        if isinstance(self._body, bytes):
            # A list of pieces would cost many times what is in them: a chunk may be one byte.
            self._body = bytearray(self._body)
        self._body += body
        if len(self._body) > self._limits.max_body:
            raise messages.body_too_large(self._limits.max_body)

    def _bound(self, size: int) -> None:
        """Limit what is taken besides the body: an unfinished head, chunks' framing, trailers.

        Each byte of the body may come in a chunk of its own, with eight bytes around it.
        """
        self._taken = 0 if self._new else self._taken + size
        self._new = False
        if self._taken - 9 * len(self._body) > self._limits.max_head:
            self._refuse(rules.head_too_large(self._limits))
