"""The counts of several workers, told by whichever is asked."""

from collections.abc import Iterator

import pytest

from serving.hosts.http.ledger import Ledger
from serving.metrics import Metrics


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger()
    yield ledger
    ledger.close()


def counted(number: int) -> Metrics:
    counts = Metrics()
    for _ in range(number):
        counts.answered(200, 0.001)
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


def test_a_workers_newest_counts_take_the_place_of_those_before(ledger: Ledger) -> None:
    ledger.write(1, counted(3))
    assert total(ledger.exposition(1, counted(5))) == 5


def test_what_ended_workers_counted_stays(ledger: Ledger) -> None:
    for pid, number in ((1, 3), (2, 4)):
        ledger.write(pid, counted(number))
        ledger.end(pid)
    text = ledger.exposition(3, counted(1))
    assert (total(text), workers(text)) == (8, 1)


def test_a_worker_that_ended_before_it_wrote_is_nothing(ledger: Ledger) -> None:
    ledger.end(1)
    text = ledger.exposition(2, counted(1))
    assert (total(text), workers(text)) == (1, 1)
