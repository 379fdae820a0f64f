"""The faster of two libraries is found for each number of rows, within a bound of time."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from serving.engines import faster
from serving.engines.agreement import Rows, Tolerance
from serving.engines.faster import Faster, Measurement, describe, measure
from serving.errors import ModelLoadError

ROWS = np.arange(14, dtype=np.float32).reshape(7, 2)
TOLERANCE = Tolerance(absolute=0.5, relative=0)


class Clock:
    """Time that passes only where a library says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "thread_time", clock)
    return clock


class Library:
    """Answers the first column, and takes a time for it."""

    def __init__(self, clock: Clock, cost: Callable[[int], float], off: float = 0.0) -> None:
        self._clock, self._cost, self._off = clock, cost, off
        self.asked: list[Rows] = []

    def __call__(self, rows: Rows) -> Rows:
        self.asked.append(rows)
        self._clock.now += self._cost(len(rows))
        return rows[:, 0] + np.float32(self._off)


def pays(usual: Library, other: Library, largest: int = 64) -> dict[int, bool]:
    found = measure(usual, other, ROWS, TOLERANCE, largest=largest, threads=1)
    return {each.rows: each.pays for each in found.measured}


def test_each_size_up_to_the_largest_is_measured(clock: Clock) -> None:
    usual = Library(clock, lambda rows: 1e-4)
    assert list(pays(usual, usual, 48)) == [1, 2, 4, 8, 16, 32, 48]
    assert list(pays(usual, usual, 1)) == [1]


def test_no_more_rows_are_measured_than_is_of_use(clock: Clock) -> None:
    usual = Library(clock, lambda rows: 1e-6)
    assert max(pays(usual, usual, 1_000_000)) == faster.LARGEST


def test_wide_rows_are_measured_in_fewer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster, "MOST_CELLS", 16)
    usual = Library(clock, lambda rows: 1e-6)
    assert max(pays(usual, usual)) == 8


def test_the_other_is_used_where_it_is_clearly_faster(clock: Clock) -> None:
    usual = Library(clock, lambda rows: 1e-4)
    other = Library(clock, lambda rows: 1e-4 * rows / 10)
    assert pays(usual, other) == {
        **dict.fromkeys([1, 2, 4, 8], True),
        **dict.fromkeys([16, 32, 64], False),
    }


@pytest.mark.parametrize(("part", "used"), [(0.89, True), (0.92, False)])
def test_less_than_a_tenth_faster_is_not_clearly_faster(part: float, used: bool) -> None:
    assert Measurement(1, 1.0, part).pays is used


def test_one_call_that_was_disturbed_decides_nothing(clock: Clock) -> None:
    usual, calls = Library(clock, lambda rows: 1e-5), iter(range(1000))
    other = Library(clock, lambda rows: 1e-3 if next(calls) % 5 == 1 else 1e-6)
    assert all(pays(usual, other).values())


def test_the_budget_bounds_the_time_and_what_is_not_measured_is_the_usual_ones(
    clock: Clock,
) -> None:
    slow = Library(clock, lambda rows: 1e-3 * rows)
    found = pays(slow, Library(clock, lambda rows: 1e-4 * rows))
    assert clock.now <= faster.BUDGET_SECONDS
    assert list(found) == [1, 2, 4, 8]
    predict = Faster(np.negative, np.positive, [Measurement(rows, 1.0, 0.1) for rows in found])
    one = np.ones((9, 1), np.float32)
    assert predict(one[:8]).max() > 0 > predict(one).min()


def test_a_model_slower_than_the_budget_is_asked_for_one_row_only(clock: Clock) -> None:
    slow = Library(clock, lambda rows: 1.0)
    assert list(pays(slow, Library(clock, lambda rows: 0.1))) == [1]
    assert {len(rows) for rows in slow.asked} == {1}
    assert len(slow.asked) == faster.CALLS


def test_both_are_asked_for_the_same_rows_and_in_time_for_each(clock: Clock) -> None:
    usual, other = (Library(clock, lambda rows: 1e-5) for _ in range(2))
    measure(usual, other, ROWS, TOLERANCE, largest=1, threads=1)
    asked, again = (np.concatenate(each.asked).tolist() for each in (usual, other))
    assert asked == again
    assert {tuple(row) for row in asked} == {tuple(row) for row in ROWS.tolist()}


def test_the_largest_difference_is_told(clock: Clock) -> None:
    usual = Library(clock, lambda rows: 1e-5)
    other = Library(clock, lambda rows: 1e-5, off=0.25)
    assert measure(usual, other, ROWS, TOLERANCE, largest=8, threads=1).difference == 0.25


def test_another_answer_ends_it(clock: Clock) -> None:
    usual = Library(clock, lambda rows: 1e-5)
    other = Library(clock, lambda rows: 1e-5, off=0.75)
    with pytest.raises(ModelLoadError, match=r"0\.75 apart; allowed is 0\.5"):
        measure(usual, other, ROWS, TOLERANCE, largest=8, threads=1)


def test_calls_with_several_threads_are_timed_by_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, cpu = Clock(), Clock()
    monkeypatch.setattr(time, "perf_counter", wall)
    monkeypatch.setattr(time, "thread_time", cpu)
    usual, other = Library(wall, lambda rows: 2e-5), Library(wall, lambda rows: 1e-5)
    (found,) = measure(usual, other, ROWS, TOLERANCE, largest=1, threads=2).measured
    assert (found.usual, found.other) == pytest.approx((2e-5, 1e-5))


SIZES = (1, 2, 4, 8)


def found(*used: bool) -> list[Measurement]:
    return [
        Measurement(rows, 1.0, 0.5 if each else 1.0) for rows, each in zip(SIZES, used, strict=True)
    ]


@pytest.mark.parametrize(
    ("used", "others", "words"),
    [
        ((False, False, False, False), [], "A for all numbers of rows"),
        ((True, False, False, False), [1], "B for 1 row, A for others"),
        ((True, True, True, False), [1, 2, 3, 4], "B for 1 to 4 rows, A for others"),
        ((True, False, True, False), [1, 3, 4], "B for 1 and 3 to 4 rows, A for others"),
        ((False, False, False, True), [5, 6, 7, 8], "B for 5 to 8 rows, A for others"),
    ],
)
def test_a_batch_goes_to_the_one_that_won_at_the_next_size(
    used: tuple[bool, ...], others: list[int], words: str
) -> None:
    measured = found(*used)
    predict = Faster(lambda rows: rows * 0, lambda rows: rows * 0 + 1, measured)
    numbers = [rows for rows in range(12) if predict(np.zeros((rows, 1), np.float32)).any()]
    assert numbers == others
    assert describe(measured, "A", "B") == words
