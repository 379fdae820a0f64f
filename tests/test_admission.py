"""Who may wait for a model: bursts may, at any rate; what is too much for ever may not."""

import math

import pytest

from serving.admission import (
    BURST_CALLS,
    BURST_SECONDS,
    STEADY_CALLS,
    STEADY_SECONDS,
    Gate,
)


class Queue:
    """A model that takes a while for each call, and the calls that wait for it."""

    def __init__(self, cost: float, *, most: float = math.inf) -> None:
        self.gate = Gate(most)
        self.now = 0.0
        self.waiting = 0
        self._cost = cost
        self.answer()

    def answer(self) -> None:
        """The model answers one call."""
        self.now += self._cost
        self.gate.free(self.now - self._cost, self.now, 1, 1)

    def offer(self, calls: int) -> int:
        """How many calls that come at once may wait."""
        return sum(self._take() for _ in range(calls))

    def _take(self) -> bool:
        admitted = self.gate.admits(self.waiting)
        self.waiting += admitted
        return admitted

    def overload(self, answers: int, times: int = 2) -> list[int]:
        """Offer so many calls for each that is answered; how many waited after each answer."""
        lengths = []
        for _ in range(answers):
            self.offer(times)
            lengths.append(self.waiting)
            self.waiting -= 1
            self.answer()
        return lengths

    def rest(self, seconds: float) -> None:
        """Nothing is left, and nothing comes for a while."""
        self.waiting = 0
        self.now += seconds
        self.gate.busy(self.now)


def test_before_a_first_answer_only_the_hard_bound_holds() -> None:
    assert [Gate(2).admits(ahead) for ahead in (0, 1, 2)] == [True, True, False]
    assert Gate().admits(1_000_000, within=0.001)


@pytest.mark.parametrize("cost", [0.005, 0.05, 2.0])
def test_a_burst_of_a_hundred_calls_may_wait_however_slow_the_model(cost: float) -> None:
    assert Queue(cost).offer(BURST_CALLS) == BURST_CALLS


def test_a_fast_model_lets_as_many_wait_as_it_answers_in_a_moment() -> None:
    queue = Queue(0.0001)
    assert queue.offer(10_000) == pytest.approx(BURST_SECONDS / 0.0001, abs=1)


def test_clients_that_wait_for_their_answers_are_never_refused() -> None:
    queue = Queue(0.005)
    assert queue.offer(64) == 64
    for _ in range(5000):
        queue.waiting -= 1
        queue.answer()
        assert queue.offer(1) == 1


@pytest.mark.parametrize("cost", [0.005, 1.0])
def test_at_twice_the_capacity_the_queue_becomes_and_stays_short(cost: float) -> None:
    lengths = Queue(cost).overload(500)
    assert max(lengths) > 50
    assert set(lengths[300:]) <= {math.ceil(STEADY_CALLS), math.ceil(STEADY_CALLS) + 1}


def test_the_queue_of_a_cheap_model_stays_as_short_as_the_noise_of_a_machine() -> None:
    queue = Queue(0.0001)
    assert queue.overload(20_000)[-1] == pytest.approx(STEADY_SECONDS / 0.0001, abs=3)


def test_a_model_that_has_rested_takes_bursts_again() -> None:
    queue = Queue(0.005)
    queue.overload(500)
    queue.rest(1.0)
    some = queue.offer(200)
    queue.rest(60.0)
    assert STEADY_CALLS + 1 < some < BURST_CALLS
    assert queue.offer(200) == pytest.approx(BURST_CALLS, abs=1)


def test_the_hard_bound_holds_in_a_burst_and_counts_as_overload() -> None:
    queue = Queue(0.005, most=20)
    assert queue.offer(25) == 20
    assert max(queue.overload(500)[300:]) <= math.ceil(STEADY_CALLS) + 1


def test_who_would_wait_longer_than_the_own_time_is_refused() -> None:
    gate = Queue(1.0).gate
    assert gate.admits(5, within=5.5)
    assert not gate.admits(6, within=5.5)


def test_the_first_in_line_is_never_refused_whatever_was_measured() -> None:
    queue = Queue(1e6)
    queue.overload(500)
    assert queue.gate.admits(0, within=0.001)


def test_what_counts_for_stacked_calls_is_the_time_of_batches() -> None:
    gate = Gate()
    gate.free(0.0, 0.002, 1, 1)
    for start in range(1, 50):
        gate.free(start, start + 0.006, 40, 1)
    assert gate.alone == 0.002
    assert gate.rate == pytest.approx(40 / 0.006, rel=0.01)


def test_a_first_call_that_was_slow_by_accident_is_forgotten() -> None:
    gate = Gate()
    gate.free(0.0, 3.0, 1, 1)
    for start in range(10, 60):
        gate.free(start, start + 0.006, 40, 1)
    assert gate.alone < 0.01


def test_time_is_counted_once_where_batches_overlap() -> None:
    gate = Gate()
    gate.free(0.0, 1.0, 1, 1)
    gate.free(0.5, 2.0, 1, 1)
    assert gate.rate == 1.0
