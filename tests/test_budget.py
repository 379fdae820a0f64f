"""What models are expected to take, and what they took."""

from pathlib import Path

import pytest

from serving.budget import FIRST_GUESS, Budget

A, B = Path("/a"), Path("/b")


def test_before_anything_was_measured_a_guess_counts() -> None:
    assert Budget(0).expect(A, 100) == int(100 * FIRST_GUESS)


def test_that_guess_may_be_nothing() -> None:
    assert Budget(0, guess=0.0).expect(A, 100) == 0


@pytest.mark.parametrize("taken", [12_345, 0])
def test_a_model_is_expected_to_take_what_it_took(taken: int) -> None:
    budget = Budget(0)
    budget.learn(A, 100, taken)
    assert budget.expect(A, 100) == taken


def test_others_are_expected_to_be_alike() -> None:
    budget = Budget(0)
    for _ in range(100):
        budget.learn(A, 100, 500)
    assert 495 <= budget.expect(B, 100) <= 500


def test_a_script_of_some_lines_says_nothing_of_a_model_of_many_bytes() -> None:
    budget = Budget(0)
    for _ in range(100):
        budget.learn(A, 200, 15_000_000)
    assert budget.expect(A, 200) == 15_000_000
    assert budget.expect(B, 1_000_000) <= 10_000_000


def test_no_more_models_are_remembered_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.budget.MOST_KNOWN", 2)
    budget = Budget(0)
    for name in ("/a", "/b", "/c"):
        budget.learn(Path(name), 100, 7)
    assert [budget.expect(Path(name), 100) == 7 for name in ("/a", "/b", "/c")] == [
        False,
        False,
        True,
    ]


def test_more_than_there_is_is_too_much() -> None:
    budget = Budget(10)
    budget.used = 10
    assert not budget.exceeded
    budget.used = 11
    assert budget.exceeded
