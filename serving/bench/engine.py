"""The loop that sends requests when they are due and takes the answers.

A request's time runs from when it was due, not from when it could be sent: a server that stands
still for a second has made all wait that were due in it (coordinated omission). In an open loop as
many connections are opened as that needs, up to a bound; in a closed loop each has its turn when
its last answer has come.
"""

import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from serving.bench.connection import Address, Connection, Failed
from serving.bench.plan import Stage, arrivals
from serving.bench.recorder import Recorder
from serving.bench.target import Target

if TYPE_CHECKING:
    from serving.bench.wire import Head

TICK_SECONDS = 0.05
"""Longest wait without a look at the clock; time limits are this exact."""


GOODBYES = ("closed", "connection reset")
"""How a server ends a connection that it took for idle."""


class Engine:
    """Connections to one server, and what they ask."""

    def __init__(
        self,
        where: Target,
        address: Address,
        requests: Iterator[bytes],
        *,
        timeout: float,
        most_connections: int,
        poisson: bool = True,
        seed: int = 0,
        tick: Callable[[Recorder, float], None] = lambda _recorder, _now: None,
    ) -> None:
        """Make it, without a connection.

        Args:
            where: The server.
            address: What its name was resolved to.
            requests: What is sent, one after the other.
            timeout: Seconds after which a request has failed.
            most_connections: Of an open loop.
            poisson: Whether the requests of an open loop come by chance.
            seed: Of their times.
            tick: Is told now and then what was seen so far, and the stage's seconds.
        """
        self._where = where
        self._address = address
        self._requests = requests
        self._timeout = timeout
        self._most = most_connections
        self._poisson = poisson
        self._seed = seed
        self._tick = tick
        self._poll = select.epoll()
        self._heads: dict[bytes, Head] = {}
        self._open: dict[int, Connection] = {}
        self._free: list[Connection] = []
        self._start = self._next_look = 0.0
        self._recorder = Recorder(Stage(0.0))

    def run(self, stage: Stage) -> Recorder:
        """Offer a stage's load, then wait for its last answers."""
        self._recorder = Recorder(stage)
        self._start = time.perf_counter()
        self._next_look = 0.0
        if stage.open:
            self._run_open(stage)
        else:
            self._run_closed(stage)
        while len(self._free) < len(self._open):
            self._receive(TICK_SECONDS)
        return self._recorder

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._open.values()):
            self._drop(connection)
        self._poll.close()

    def _run_open(self, stage: Stage) -> None:
        waiting: deque[float] = deque()
        times = arrivals(stage, self._seed, poisson=self._poisson)
        following = next(times, None)
        while following is not None or waiting:
            now = self._now
            while following is not None and following <= now:
                waiting.append(following)
                self._recorder.sent(following)
                following = next(times, None)
            while waiting and (connection := self._connection(self._most)) is not None:
                self._send(connection, waiting.popleft())
            while waiting and now - waiting[0] > self._timeout:
                self._recorder.failed(waiting.popleft(), "no connection free in time")
            self._receive(TICK_SECONDS if following is None else following - self._now)

    def _run_closed(self, stage: Stage) -> None:
        while len(self._free) > stage.connections:
            self._drop(self._free.pop())
        while (now := self._now) < stage.seconds:
            while (connection := self._connection(stage.connections)) is not None:
                self._recorder.sent(now)
                self._send(connection, now)
            self._receive(min(TICK_SECONDS, stage.seconds - now))

    @property
    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _connection(self, most: int) -> Connection | None:
        """One that is free; a new one if there may be more."""
        if self._free:
            return self._free.pop()
        if len(self._open) >= most:
            return None
        connection = Connection(self._where, self._address, self._heads)
        self._open[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, connection.watched)
        return connection

    def _send(self, connection: Connection, due: float) -> None:
        try:
            connection.send(next(self._requests), due)
        except Failed as failure:
            self._fail(connection, str(failure))
        else:
            self._watch(connection)

    def _receive(self, timeout: float) -> None:
        # epoll's own time limit is in milliseconds, select's in microseconds.
        select.select([self._poll], [], [], min(max(0.0, timeout), TICK_SECONDS))
        for number, _ in self._poll.poll(0):
            connection = self._open[number]
            try:
                whole = connection.react()
            except Failed as failure:
                self._fail(connection, str(failure))
                continue
            if whole:
                self._answered(connection)
            else:
                self._watch(connection)
        if self._now >= self._next_look:
            self._look()

    def _answered(self, connection: Connection) -> None:
        head = connection.reader.head
        assert head is not None  # noqa: S101 - the response is whole
        due, connection.due = connection.due, -1.0
        self._recorder.answered(due, self._now - due, head.status)
        if head.closes:
            self._drop(connection)
        else:
            connection.used = True
            self._free.append(connection)
            self._watch(connection)

    def _fail(self, connection: Connection, kind: str) -> None:
        """Let go of a connection, and record the failure of its request if it had one."""
        due, again = connection.due, connection.used and kind in GOODBYES
        if connection in self._free:
            self._free.remove(connection)
        self._drop(connection)
        if due < 0:
            return
        if again and (fresh := self._connection(len(self._open) + 1)) is not None:
            # A server may end a connection that was idle just when a request is on its way:
            # clients send it again on a new one.
            self._send(fresh, due)
        else:
            self._recorder.failed(due, kind)

    def _drop(self, connection: Connection) -> None:
        number = connection.socket.fileno()
        self._poll.unregister(number)
        del self._open[number]
        connection.socket.close()

    def _watch(self, connection: Connection) -> None:
        if connection.wants != connection.watched:
            connection.watched = connection.wants
            self._poll.modify(connection.socket, connection.wants)

    def _look(self) -> None:
        """Let go of what has taken too long."""
        now = self._now
        self._next_look = now + TICK_SECONDS
        self._tick(self._recorder, now)
        late = [each for each in self._open.values() if 0 <= each.due < now - self._timeout]
        for connection in late:
            self._fail(connection, f"no answer in {self._timeout:g} s")
