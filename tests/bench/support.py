"""Small servers to ask, each of which answers in a way of its own."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from serving.bench import target
from serving.bench.connection import resolve
from serving.bench.engine import Engine
from serving.bench.target import Message

Talk = Callable[[socket.socket], None]
"""Talks with one client, until it returns."""

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextmanager
def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on a free port."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        threading.Thread(target=_accept, args=(listener, talk, tls), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def answering(*answers: bytes) -> Talk:
    """Sends these answers by turns, each to one request without a body of its own."""

    def talk(client: socket.socket) -> None:
        asked = 0
        while client.recv(65536):
            client.sendall(answers[asked % len(answers)])
            asked += 1

    return talk


@contextmanager
def engine_for(port: int, *, timeout: float = 10.0, most: int = 64) -> Iterator[Engine]:
    """An engine that asks a server on this machine."""
    where = target.target(f"http://127.0.0.1:{port}", "/invocations")
    sent = target.requests(where, [Message({}, b"1")], [1.0], None, 1)
    engine = Engine(where, resolve(where), sent, timeout=timeout, most_connections=most)
    try:
        yield engine
    finally:
        engine.close()


def _accept(listener: socket.socket, talk: Talk, tls: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, talk, tls), daemon=True).start()


def _serve(client: socket.socket, talk: Talk, tls: ssl.SSLContext | None) -> None:
    with (
        suppress(OSError),
        client if tls is None else tls.wrap_socket(client, server_side=True) as it,
    ):
        talk(it)
