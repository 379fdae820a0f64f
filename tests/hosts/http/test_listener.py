"""Who accepts a connection, and when."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import cast

import pytest
import uvloop

from serving.hosts.http import listener as listener_module
from serving.hosts.http.board import Board, Phase
from serving.hosts.http.listener import Listener
from tests.support import PATIENCE

SLOT, OTHER = 0, 1


class Greeter(asyncio.Protocol):
    """Says hello, so that a client knows it was accepted."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(b"hello")
        transport.close()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def board() -> Board:
    """A board with this worker and another one, both ready."""
    board = Board(2)
    for slot in (SLOT, OTHER):
        board.set_phase(slot, Phase.READY)
    return board


async def greeting(listening: socket.socket) -> bytes:
    """What a client is told that connects."""
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    with closing(writer):
        return await asyncio.wait_for(reader.read(), PATIENCE)


def listen(listening: socket.socket, board: Board) -> Listener:
    return Listener([listening], Greeter, asyncio.get_running_loop(), board, SLOT)


def test_a_connection_is_accepted(listening: socket.socket, board: Board) -> None:
    async def main() -> None:
        listener = listen(listening, board)
        assert [await greeting(listening) for _ in range(3)] == [b"hello"] * 3
        await listener.close()

    uvloop.run(main())


def test_a_connection_is_accepted_though_a_better_placed_worker_does_not(
    listening: socket.socket, board: Board
) -> None:
    async def main() -> None:
        board.set_connections(SLOT, 5)
        listener = listen(listening, board)
        assert [await greeting(listening) for _ in range(3)] == [b"hello"] * 3
        await listener.close()

    uvloop.run(main())


def test_a_worker_that_cannot_answer_accepts_nothing_until_it_can(
    listening: socket.socket, board: Board
) -> None:
    async def main() -> None:
        board.set_phase(SLOT, Phase.STARTING)
        listener = listen(listening, board)
        waiting = asyncio.create_task(greeting(listening))
        done, _ = await asyncio.wait([waiting], timeout=10 * listener_module.DEFER_SECONDS)
        assert not done
        board.set_phase(SLOT, Phase.READY)
        assert await waiting == b"hello"
        await listener.close()

    uvloop.run(main())


def test_a_closed_listener_accepts_nothing(listening: socket.socket, board: Board) -> None:
    async def main() -> None:
        board.set_connections(SLOT, 5)  # so that it is about to look again
        listener = listen(listening, board)
        assert await greeting(listening) == b"hello"
        waiting = asyncio.create_task(greeting(listening))
        await asyncio.sleep(0)
        await listener.close()
        done, _ = await asyncio.wait([waiting], timeout=10 * listener_module.DEFER_SECONDS)
        assert not done
        waiting.cancel()

    uvloop.run(main())


class Paused:
    """A loop whose clock stands still; it notes for how long it is asked to wait."""

    def __init__(self) -> None:
        self.ready: list[Callable[[], None]] = []
        self.pauses: list[float] = []

    def add_reader(self, _sock: socket.socket, react: Callable[..., None], *given: object) -> None:
        self.ready.append(partial(react, *given))

    def remove_reader(self, _sock: socket.socket) -> None:
        self.ready.clear()

    def call_later(self, seconds: float, *_call: object) -> None:
        self.pauses.append(seconds)


@pytest.mark.parametrize(
    ("connections", "units"), [(1, 1), (4, 4), (1000, 10)], ids=["little", "far", "very far"]
)
def test_the_further_a_worker_is_ahead_the_longer_it_waits_for_another_up_to_a_bound(
    listening: socket.socket, board: Board, connections: int, units: int
) -> None:
    board.set_connections(SLOT, connections)
    loop = Paused()
    Listener([listening], Greeter, cast("asyncio.AbstractEventLoop", loop), board, SLOT)
    (react,) = loop.ready
    react()
    assert loop.pauses == [pytest.approx(units * listener_module.DEFER_SECONDS)]
    assert loop.ready == []


def test_a_connection_counts_from_when_it_is_accepted(
    listening: socket.socket, board: Board
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        listener = Listener([listening], Greeter, loop, board, SLOT, lambda: context)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        async with asyncio.timeout(PATIENCE):
            while board.connections(SLOT) != 1:  # it waits for a handshake
                await asyncio.sleep(0)
            writer.close()
            while board.connections(SLOT):
                await asyncio.sleep(0)
        await listener.close()

    uvloop.run(main())


class Exhausted:
    """A listening socket that first fails as it does when there are no file descriptors left."""

    def __init__(self, sock: socket.socket, failures: int) -> None:
        self._sock = sock
        self._failures = failures

    def accept(self) -> tuple[socket.socket, object]:
        if self._failures:
            self._failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._sock.accept()

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)


def test_a_worker_without_file_descriptors_tries_again_later(
    listening: socket.socket,
    board: Board,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(listener_module, "EXHAUSTED_SECONDS", 0.001)

    async def main() -> None:
        exhausted = cast("socket.socket", Exhausted(listening, 3))
        listener = listen(exhausted, board)
        assert await greeting(listening) == b"hello"
        await listener.close()

    uvloop.run(main())
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["cannot accept connections: [Errno 24] Too many open files"] * 3
