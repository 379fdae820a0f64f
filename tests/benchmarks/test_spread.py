"""How connections are counted, and what is said of their spread."""

import os
import socket
import subprocess
import sys

import pytest

from benchmarks import spread
from benchmarks.spread import Result


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((8, 8), 0.0), ((10, 6), 0.25), ((16, 0), 1.0), ((4, 4, 4, 8), 0.6)],
)
def test_a_spread_is_that_of_the_worker_farthest_from_its_share(
    counts: tuple[int, ...], expected: float
) -> None:
    assert spread.spread(counts) == pytest.approx(expected)


def test_a_process_has_the_servers_ends_of_its_own_connections() -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        port = listener.getsockname()[1]
        workers = [os.getpid(), other.pid]
        assert spread.connections(port, workers) == [0, 0]
        for count in (1, 2):
            with socket.create_connection(("127.0.0.1", port)):
                accepted, _ = listener.accept()
                with accepted:
                    assert spread.connections(port, workers) == [1, 0], count
        other.communicate(b"\n")


def test_the_table_and_the_bar_go_by_the_trials() -> None:
    good = Result(16, "at once", [0.0] * 9 + [0.5])
    bad = Result(64, "one by one", [0.1, 0.3, 0.4])
    _, _, first, second = spread.table([good, bad]).splitlines()
    assert first == "| 16 | at once | 0 % | 0 % | 50 % | 90 % |"
    assert second == "| 64 | one by one | 30 % | 30 % | 40 % | 33 % |"
    assert spread.missed([good, bad]) == [
        "64 connections opened one by one: the median spread is 30 %, and should be at most 20 %."
    ]
