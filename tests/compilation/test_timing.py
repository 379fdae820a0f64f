"""How calls are timed."""

import pytest

from serving.compilation import timing


def test_calls_take_turns_whose_first_calls_are_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, called = [0.0], ""

    def call(name: str, costs: list[float]) -> None:
        nonlocal called
        called += name
        now[0] += costs[called.count(name) % 2]

    monkeypatch.setattr(timing, "perf_counter", lambda: now[0])
    monkeypatch.setattr(timing, "TURNS", 3)
    # The first call of each turn is the odd one: there are two in each.
    medians = timing.medians([lambda: call("a", [2, 100]), lambda: call("b", [5, 100])])
    assert called == "aabb" * 3
    assert medians == [2, 5]


def test_a_turn_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now, called = [0.0], []

    def call() -> None:
        called.append(now[0])
        now[0] += 1

    monkeypatch.setattr(timing, "perf_counter", lambda: now[0])
    monkeypatch.setattr(timing, "TURNS", 1)
    monkeypatch.setattr(timing, "SECONDS", 3.0)
    assert timing.medians([call]) == [1]
    assert called == [0, 1, 2, 3]
