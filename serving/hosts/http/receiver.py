"""Bytes into requests (RFC 9112), with the limits a parser leaves to its caller.

The parser is llhttp in its strict mode, which refuses conflicting, doubled and malformed framing.
Limits, versions, Host, transfer codings and expectations are decided here.
"""

import time
from typing import Protocol
from urllib.parse import unquote

import httptools

from serving.errors import (
    BadRequest,
    ExpectationFailed,
    HeaderFieldsTooLarge,
    HttpVersionNotSupported,
    NotImplementedByServer,
    PayloadTooLarge,
    RequestTimeout,
    ServingError,
)
from serving.hosts.http.shared import KnownHead, Shared
from serving.values import Request

END_OF_HEAD = b"\r\n\r\n"

KNOWN_HEAD = 2048
"""Longest head that is remembered."""

UNKNOWABLE = {"transfer-encoding", "expect", "upgrade"}
"""Fields that make more of a head than a description of its body."""


class Sink(Protocol):
    """What becomes of the requests."""

    def received(self, request: Request, *, current: bool, keep_alive: bool) -> None:
        """Take a whole request; ``current``: it is HTTP/1.1, not 1.0."""

    def expects_continue(self) -> None:
        """The client waits for leave to send the body."""

    def refuse(self, error: BaseException) -> None:
        """Answer with the error and read no more: what follows cannot be understood."""


class Receiver:
    """Receives the requests of one connection. Once it has refused, it takes no more bytes."""

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
        self._refused = False
        self._last = False  # no request follows the one that was received
        self._first_head = b""  # of the bytes being parsed, if a request begins there
        self._in_head = False
        self._head_new = False  # the head began in the bytes being parsed
        self._head_pending = 0  # bytes of an unfinished head, the first ones not counted
        self._head_bytes = 0
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take bytes; complete requests go to the sink."""
        if self._refused:
            return
        self.since = time.monotonic()
        self._first_head = b""
        if not self.active:
            data = self._known(data)
            if not data:
                return
            self._first_head = data[: data.find(END_OF_HEAD) + len(END_OF_HEAD)]
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, ServingError) else error)
        except httptools.HttpParserError as error:
            if not self._last:  # bytes after a request that closes the connection mean nothing
                self._refuse(BadRequest(f"This is not valid HTTP/1.1: {error}."))
        if self._in_head:  # the head goes on in the next bytes
            self._head_pending = 0 if self._head_new else self._head_pending + len(data)
            self._head_new = False
            if self._head_pending > self._limits.max_head:
                self._refuse(self._head_too_large())

    def _known(self, data: bytes) -> bytes:
        """Receive the requests whose heads were received before; the bytes that are left.

        A client repeats its head byte for byte. One that the parser has accepted need not be
        parsed again: that is most of what a small request costs outside the model.
        """
        heads = self._shared.heads
        while not self._last and data:
            end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
            known = heads.get(data[:end])
            if known is None or len(data) < end + known.length:
                return data
            body = data[end : end + known.length]
            deadline = self.since + self._limits.request_timeout
            request = Request(known.method, known.path, known.headers, body, known.query, deadline)
            data = data[end + known.length :]
            self._sink.received(request, current=True, keep_alive=True)
        return data

    def _remember(self, head: bytes, request: Request) -> None:
        """Keep a head if nothing but its Content-Length says where the request ends."""
        headers = request.headers
        if headers.keys().isdisjoint(UNKNOWABLE):
            length = int(headers.get("content-length", 0))
            self._shared.remember(
                head, KnownHead(request.method, request.path, request.query, headers, length)
            )

    def end(self) -> None:
        """The client sends no more."""
        if self.active:
            self._refuse(BadRequest("The request ended before it was complete."))

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
        self.active = self._in_head = self._head_new = True
        self._began = self.since
        self._head_bytes = 0
        self._url = b""
        self._headers = {}
        self._body = []
        self._body_bytes = 0

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
            headers[key] = value.decode("latin-1")
        elif key == "host":
            raise BadRequest("The request has more than one Host field.")
        else:
            headers[key] += ", " + value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole: decide whether the body may come."""
        self._in_head = False
        if self._head_bytes + len(self._url) > self._limits.max_head:
            raise self._head_too_large()
        headers = self._headers
        version = self._parser.get_http_version()
        if version != "1.1":
            self._check_old(version)
        elif "host" not in headers:
            raise BadRequest("An HTTP/1.1 request must have a Host field.")
        coding = headers.get("transfer-encoding", "chunked")
        if coding.lower() != "chunked":
            raise NotImplementedByServer(
                f"Transfer-Encoding {coding!r} is not supported, only chunked."
            )
        if int(headers.get("content-length", 0)) > self._limits.max_body:
            raise self._body_too_large()
        expect = headers.get("expect")
        if expect is not None:
            if expect.lower() != "100-continue":
                raise ExpectationFailed(f"Expect {expect!r} is not known, only 100-continue.")
            if version == "1.1":
                self._sink.expects_continue()

    def on_body(self, body: bytes) -> None:
        """A piece of the body, without its chunks' framing."""
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.max_body:
            raise self._body_too_large()
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.active = False
        parser = self._parser
        path, _, query = self._url.partition(b"?")
        body = self._body
        keep_alive = parser.should_keep_alive()
        self._last = not keep_alive
        request = Request(
            parser.get_method().decode(),
            self._shared.paths.get(path) or _path(path),
            self._headers,
            body[0] if len(body) == 1 else b"".join(body),
            query.decode("latin-1"),
            self.since + self._limits.request_timeout,
        )
        current = parser.get_http_version() == "1.1"
        head, self._first_head = self._first_head, b""
        if END_OF_HEAD in head[:KNOWN_HEAD] and current and keep_alive:
            self._remember(head, request)
        self._sink.received(request, current=current, keep_alive=keep_alive)

    # Inside.

    def _refuse(self, error: BaseException) -> None:
        if not self._refused:
            self._refused = True
            self.active = self._in_head = False
            self._sink.refuse(error)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """A server may ignore Upgrade (RFC 9110, 7.8), and Java's client offers h2c by default."""
        if self._parser.get_method() == b"CONNECT":
            self._refused = True  # the request was answered; what follows is no HTTP
            return
        self._parser = httptools.HttpRequestParser(self)
        if rest:
            self.feed(rest)

    def _check_old(self, version: str) -> None:
        if version != "1.0":
            raise HttpVersionNotSupported(f"HTTP/{version} is not spoken here, HTTP/1.1 is.")
        if "transfer-encoding" in self._headers:
            raise BadRequest("An HTTP/1.0 request cannot have a Transfer-Encoding.")

    def _head_too_large(self) -> ServingError:
        return HeaderFieldsTooLarge(
            f"The request's head is larger than {self._limits.max_head} bytes."
        )

    def _body_too_large(self) -> ServingError:
        return PayloadTooLarge(
            f"The body is larger than {self._limits.max_body} bytes; "
            f"SAGEMAKER_MAX_PAYLOAD_IN_MB sets the limit."
        )


def _path(raw: bytes) -> str:
    """The path of a request target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not raw.startswith(b"/") and b"://" in raw:
        raw = b"/" + raw.split(b"://", 1)[1].partition(b"/")[2]
    return unquote(raw.decode("latin-1"))
