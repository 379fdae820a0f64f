"""The counts of several workers, told by whichever is asked."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from serving import metrics
from serving.hosts.http.ledger import HEAD, ROOM, Ledger
from serving.metrics import Metrics


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(4)


def counted(number: int) -> Metrics:
    counts = Metrics()
    counts.requests[200] = number
    return counts


def total(text: bytes) -> float:
    line = next(line for line in text.splitlines() if line.startswith(b"serving_requests_total{"))
    return float(line.split()[-1])


def workers(text: bytes) -> float:
    line = next(line for line in text.splitlines() if line.startswith(b"serving_workers "))
    return float(line.split()[-1])


def test_one_worker_tells_the_counts_of_all(ledger: Ledger) -> None:
    ledger.write(1, counted(3))
    text = ledger.exposition(2, counted(4))
    assert (total(text), workers(text)) == (7, 2)


def test_the_connections_of_each_worker_are_told(ledger: Ledger) -> None:
    text = ledger.exposition(2, counted(4), lambda: {1: 7, 2: 8})
    assert b'serving_connections{worker="1"} 7.0\n' in text
    assert b'serving_connections{worker="2"} 8.0\n' in text
    assert b"serving_connections" not in metrics.exposition([counted(1).snapshot(0)])


def test_a_workers_newest_counts_take_the_place_of_those_before(ledger: Ledger) -> None:
    ledger.write(1, counted(3))
    assert total(ledger.exposition(1, counted(5))) == 5


def test_what_ended_workers_counted_stays(ledger: Ledger) -> None:
    for slot, number in ((1, 3), (2, 4)):
        ledger.write(slot, counted(number))
        ledger.end(slot)
    text = ledger.exposition(3, counted(1))
    assert (total(text), workers(text)) == (8, 1)


def test_a_worker_that_ended_before_it_wrote_is_nothing(ledger: Ledger) -> None:
    ledger.end(1)
    text = ledger.exposition(2, counted(1))
    assert (total(text), workers(text)) == (1, 1)


def test_a_slot_that_is_taken_again_counts_for_both(ledger: Ledger) -> None:
    ledger.write(1, counted(3))
    ledger.end(1)
    text = ledger.exposition(1, counted(2))
    assert (total(text), workers(text)) == (5, 1)


def test_fewer_bytes_take_the_place_of_more(ledger: Ledger) -> None:
    ledger.write(1, counted(10**6))
    ledger.write(1, counted(1))
    assert total(ledger.exposition(2, Metrics())) == 1


def test_counts_that_are_being_written_are_read_whole(ledger: Ledger) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            for number in (1, 10**4):
                ledger.write(1, counted(number))

    ledger.write(1, counted(1))
    writer = threading.Thread(target=write)
    writer.start()
    totals = {total(ledger.exposition(2, Metrics())) for _ in range(100)}
    done.set()
    writer.join()
    assert totals <= {1, 10**4}


def test_counts_that_cannot_be_read_are_left_out(ledger: Ledger) -> None:
    ledger.write(1, counted(3))
    os.pwrite(ledger._file, b"?", ROOM + HEAD.size)
    text = ledger.exposition(2, counted(4))
    assert (total(text), workers(text)) == (4, 1)


def test_a_worker_that_is_killed_leaves_its_counts_and_no_file(tmp_path: Path) -> None:
    code = """
        import os, signal
        from serving.hosts.http.ledger import Ledger
        from serving.metrics import Metrics
        ledger = Ledger(2)
        counts = Metrics()
        counts.answered(200, 0.001)
        worker = os.fork()
        if not worker:
            ledger.write(1, counts)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(worker, 0)
        ledger.end(1)
        os.write(1, ledger.exposition(0, counts))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.stderr == b""
    assert (total(done.stdout), workers(done.stdout)) == (2, 1)
    assert list(tmp_path.iterdir()) == []
