"""A connection of a load generator: it never blocks, and has one request under way at most."""

import errno
import select
import socket
import ssl
from typing import Any, NamedTuple

from serving.bench.target import Target
from serving.bench.wire import Head, Malformed, Reader
from serving.errors import ConfigurationError

READ_BYTES = 256 * 1024

UNTRUSTED = "untrusted certificate"
"""Begins the kind of a failure where the server's certificate, or the name in it, is to blame."""

READ, WRITE = select.EPOLLIN, select.EPOLLOUT


class Failed(Exception):
    """The connection is of no more use; the message is the kind of failure."""


class Address(NamedTuple):
    """Where a host's name leads."""

    family: int
    name: Any
    """As the socket takes it."""


def resolve(where: Target) -> Address:
    """Look the host up, once for all connections.

    Raises:
        ConfigurationError: there is no such host.
    """
    try:
        family, *_, name = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigurationError(f"The host {where.host} is not known: {error.strerror}.") from None
    return Address(family, name)


class Connection:
    """One socket. Its methods return at once."""

    def __init__(self, where: Target, address: Address, heads: dict[bytes, Head]) -> None:
        """Begin to connect."""
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._refused = sock.connect_ex(address.name) not in (0, errno.EINPROGRESS)
        if where.tls is not None:
            sock = where.tls.wrap_socket(
                sock, server_hostname=where.host, do_handshake_on_connect=False
            )
        self.socket = sock
        self.reader = Reader(heads)
        self.watched = self.wants = WRITE
        """For what the socket is watched, and for what it is to be."""
        self.due = -1.0
        """When the request that is under way was to be sent; -1: there is none."""
        self.used = False
        """It has answered a request before."""
        self._open = False
        self._out = b""

    def send(self, request: bytes, due: float) -> None:
        """Send a request, as soon as the connection is open. Raises Failed."""
        self.due = due
        self.reader.reset()
        self._out = request
        if self._open:
            self._guarded(self._flush)

    def react(self) -> bool:
        """Go on now that the socket is ready; whether the response is whole. Raises Failed."""
        return self._guarded(self._step)

    def _guarded(self, step: Any) -> bool:
        try:
            return bool(step())
        except (ssl.SSLWantReadError, BlockingIOError):
            self.wants = READ | WRITE if self._open and self._out else READ
        except ssl.SSLWantWriteError:
            self.wants = WRITE
        except Malformed:
            raise Failed("no HTTP response") from None
        except ssl.SSLCertVerificationError as error:
            raise Failed(f"{UNTRUSTED}: {error.verify_message.rstrip('.')}") from None
        except ssl.SSLError as error:
            raise Failed(f"TLS: {_words(error)}") from None
        except ConnectionRefusedError:
            raise Failed("connection refused") from None
        except ConnectionError:
            begun = " in an answer" if self.reader.begun else ""
            raise Failed(f"connection reset{begun}") from None
        except OSError as error:
            raise Failed(f"not connected: {error.strerror}") from None
        return False

    def _step(self) -> bool:
        if not self._open:
            self._connect()
        if self._out:
            self._flush()
        return self._receive()

    def _connect(self) -> None:
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code or self._refused:
            raise OSError(code or errno.ECONNREFUSED, "connection refused")
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.do_handshake()
        self._open = True

    def _flush(self) -> None:
        while self._out:
            try:
                sent = self.socket.send(self._out)
            except BlockingIOError:
                self.wants = READ | WRITE
                return
            self._out = self._out[sent:]
        self.wants = READ

    def _receive(self) -> bool:
        while True:
            data = self.socket.recv(READ_BYTES)
            if self.due < 0:
                raise Failed("closed while idle")
            if not data:
                if self.reader.end():
                    return True
                raise Failed("closed in an answer" if self.reader.begun else "closed")
            if self.reader.feed(data):
                return True
            if len(data) < READ_BYTES and not isinstance(self.socket, ssl.SSLSocket):
                return False


def _words(error: ssl.SSLError) -> str:
    """A reason such as WRONG_VERSION_NUMBER, to be read."""
    return (error.reason or str(error)).replace("_", " ").lower()
