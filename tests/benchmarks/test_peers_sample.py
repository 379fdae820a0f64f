"""What is seen of a server's processes."""

import os
import socket
from contextlib import ExitStack

import pytest

from benchmarks.peers import sample


def test_connections_are_counted_at_the_server_that_has_them() -> None:
    with ExitStack() as closing:
        server = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = server.getsockname()[1]
        for _ in range(3):
            closing.enter_context(socket.create_connection(("127.0.0.1", port)))
            closing.enter_context(server.accept()[0])
        assert sample.connections(os.getpid(), port) == [3]
        seen = sample.take(os.getpid(), port, 1, 0.0)
    assert seen.imbalance == 0.0
    assert seen.memory > 1_000_000


@pytest.mark.parametrize(
    ("counts", "processes", "expected"),
    [([32, 32], 2, 0.0), ([40, 24], 2, 0.25), ([64], 2, 1.0), ([], 2, 0.0), ([5], 0, 0.0)],
)
def test_the_imbalance_is_the_largest_distance_to_an_even_share(
    counts: list[int], processes: int, expected: float
) -> None:
    assert sample.imbalance(counts, processes) == pytest.approx(expected)
