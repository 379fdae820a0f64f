"""The warm-up: a model that cannot answer is refused, and one that can is measured."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving import warmup
from serving.batching import Cost
from serving.errors import BadRequest, ModelLoadError
from serving.model import Model
from serving.values import Payload, Prediction
from tests.support import Fake

SAMPLE = np.ones((1, 1))


class Clock:
    """Time that passes only while a model predicts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.asked: list[int] = []
        monkeypatch.setattr(warmup, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def model(self, fixed: float, per_row: float, *, first: float = 0.0, **facts: Any) -> Model:
        """A model of that cost, whose very first call takes longer."""

        def predict(payload: Payload) -> Prediction:
            assert len(payload.data) == payload.rows
            self.now += fixed + per_row * payload.rows + (0.0 if self.asked else first)
            self.asked.append(payload.rows)
            return Prediction({})

        return Fake().model(predict=predict, **{"sample": SAMPLE, "merge_key": "k", **facts})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(("fixed", "per_row"), [(1e-4, 2e-6), (0.0, 1e-3), (5e-3, 0.0)])
def test_the_cost_is_told_apart_by_calls_of_one_row_and_of_many(
    clock: Clock, fixed: float, per_row: float
) -> None:
    cost = warmup.measure(clock.model(fixed, per_row, first=0.5))
    assert cost == pytest.approx(Cost(fixed, per_row), abs=1e-9)
    assert set(clock.asked) == {1, warmup.ROWS}


def test_a_call_that_was_held_up_does_not_count(clock: Clock) -> None:
    delays = iter([0.0, 0.9, 0.0, 0.0, 0.7])
    model = clock.model(1e-3, 0.0)

    def predict(payload: Payload) -> Prediction:
        clock.now += next(delays, 0.0)
        return model.predict(payload)

    held_up = Fake().model(predict=predict, sample=SAMPLE, merge_key="k")
    assert warmup.measure(held_up) == pytest.approx(Cost(1e-3, 0.0), abs=1e-9)


def test_a_model_without_stacked_rows_costs_the_same_for_each(clock: Clock) -> None:
    assert warmup.measure(clock.model(2e-3, 1e-3, merge_key=None)) == pytest.approx(Cost(0.0, 3e-3))
    assert set(clock.asked) == {1}


def test_a_slow_model_is_asked_once_of_each(clock: Clock) -> None:
    assert warmup.measure(clock.model(2.0, 0.5)) == pytest.approx(Cost(2.0, 0.5))
    assert clock.asked == [1, warmup.ROWS]


def test_a_cost_is_never_negative(clock: Clock) -> None:
    def predict(payload: Payload) -> Prediction:
        clock.now += 0.1 if payload.rows == 1 else 0.01
        return Prediction({})

    model = Fake().model(predict=predict, sample=SAMPLE, merge_key="k")
    assert warmup.measure(model) == pytest.approx(Cost(0.1, 0.0))


def test_a_model_without_a_sample_is_not_asked_and_its_cost_is_unknown() -> None:
    fake = Fake()
    cost = warmup.measure(fake.model())
    assert cost.rows_within(1e9) == 0
    assert fake.calls == []


@pytest.mark.parametrize("error", [ValueError("bad tree"), SystemExit(3), BadRequest("bad tree")])
def test_a_model_that_cannot_answer_is_refused(error: BaseException) -> None:
    fake = Fake()
    fake.failure = error
    with pytest.raises(ModelLoadError) as refusal:
        warmup.measure(fake.model(sample=-SAMPLE, merge_key="k"))
    reason = f"The model loads but cannot answer: {type(error).__name__}: {error}"
    assert str(refusal.value) == reason
    assert refusal.value.__cause__ is error


def test_so_is_one_that_answers_one_row_but_not_many() -> None:
    fake = Fake()

    def predict(payload: Payload) -> Prediction:
        if payload.rows > 1:
            raise MemoryError
        return fake.predict(payload)

    with pytest.raises(ModelLoadError, match="cannot answer: MemoryError"):
        warmup.measure(fake.model(predict=predict, sample=SAMPLE, merge_key="k"))
