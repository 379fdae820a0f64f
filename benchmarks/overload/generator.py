"""The load generator: requests at times of its own, whether or not the server keeps up.

One thread and epoll: the event loops' timers are a millisecond coarse, which is as long as some of
the answers take.
"""

import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import accumulate, repeat
from typing import NamedTuple

PING = b"GET /ping HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"

LAST_ANSWERS_SECONDS = 10.0
"""How long answers are waited for after the last request."""

TICK_SECONDS = 0.05
"""Longest wait for an answer without a look at the clock."""


class Answer(NamedTuple):
    """What became of a request."""

    due: float
    """When it was to be sent, in seconds from the start."""
    seconds: float
    """From then to the whole answer."""
    status: int
    """0: there was no answer."""


def arrivals(rate: float, seed: int) -> Iterator[float]:
    """The times of a Poisson process, in seconds, without end."""
    gaps = random.Random(seed)
    return accumulate(gaps.expovariate(rate) for _ in repeat(None))


class _Connection:
    """A connection with at most one request under way."""

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self.due = 0.0
        self.received = b""

    def status(self) -> int:
        """The answer's, once it is whole; 0 until then."""
        head, _, body = self.received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return int(head[9:12]) if length and len(body) >= int(length) else 0


class Client:
    """Connections to a server, on which one kind of request is sent."""

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        """Open them, and wait until the server has answered a ping on each."""
        self._request = PING
        self._answers: list[Answer] = []
        self._closing = ExitStack()
        self._poll = self._closing.enter_context(select.epoll())
        self._connections: dict[int, _Connection] = {}
        for _ in range(connections):
            client = self._closing.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poll.register(client, select.EPOLLIN)
            self._connections[client.fileno()] = _Connection(client)
        self._free = list(self._connections.values())
        self._busy = 0
        self._start = time.perf_counter()
        while self._free:
            self._send(0.0)
        self._finish()
        self._request = request

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def open_loop(self, rate: float, seconds: float, seed: int) -> list[Answer]:
        """Send ``rate`` requests a second on average, at the times of a Poisson process.

        A request that finds no connection free waits for one, and its time runs.
        """
        self._start = time.perf_counter()
        waiting: deque[float] = deque()
        times = arrivals(rate, seed)
        following = next(times)
        limit = seconds + LAST_ANSWERS_SECONDS
        while (following < seconds or waiting) and (now := self._now) < limit:
            while following <= now and following < seconds:
                waiting.append(following)
                following = next(times)
            while waiting and self._free:
                self._send(waiting.popleft())
            self._receive(TICK_SECONDS if waiting else min(following, seconds) - now)
        return self._finish() + [Answer(due, 0.0, 0) for due in waiting]

    def closed_loop(self, seconds: float) -> list[Answer]:
        """Send the next request on each connection when the answer to the last has come."""
        self._start = time.perf_counter()
        while (now := self._now) < seconds:
            while self._free:
                self._send(now)
            self._receive(TICK_SECONDS)
        return self._finish()

    @property
    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _send(self, due: float) -> None:
        connection = self._free.pop()
        connection.due = due
        connection.received = b""
        connection.socket.sendall(self._request)
        self._busy += 1

    def _receive(self, timeout: float) -> None:
        # epoll's own time limit is in milliseconds.
        select.select([self._poll], [], [], max(0.0, timeout))
        for number, _ in self._poll.poll(0):
            connection = self._connections[number]
            try:
                data = connection.socket.recv(65536)
            except ConnectionError:
                data = b""
            connection.received += data
            status = connection.status()
            if status or not data:
                self._answers.append(Answer(connection.due, self._now - connection.due, status))
                self._busy -= 1
            if status:
                self._free.append(connection)
            elif not data:  # the server closed it
                self._poll.unregister(number)

    def _finish(self) -> list[Answer]:
        """Wait for the last answers, and return all."""
        limit = self._now + LAST_ANSWERS_SECONDS
        while self._busy and self._now < limit:
            self._receive(TICK_SECONDS)
        answers, self._answers = self._answers, []
        return answers + [Answer(0.0, 0.0, 0)] * self._busy
