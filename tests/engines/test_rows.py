"""Whether rows are independent, and batches of a fixed length."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serving.codecs import Outputs
from serving.engines import rows
from serving.errors import OutOfMemory, PredictionError
from serving.model import Tensor

INPUTS = (Tensor("x", "float32", (None, 3)),)


def of(function: Callable[[Any], Any]) -> rows.Call:
    return lambda data: {"y": function(data["x"])}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 2,
        lambda x: x.sum(axis=1),
        lambda x: x.argmax(axis=1).astype(str).astype(object),
        lambda x: np.where(x > 0, np.nan, x),
    ],
)
def test_a_model_of_each_row_by_itself_takes_stacked_rows(function: Callable[[Any], Any]) -> None:
    trial = rows.try_out(of(function), INPUTS)
    assert trial.independent
    assert trial.sample is not None
    assert trial.sample["x"].shape == (1, 3)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x - x.mean(axis=0),
        lambda x: x / x.sum(),
        lambda x: x.sum(),
        lambda x: x.sum(axis=0),
        lambda x: x.T,
        lambda x: x[x > 0.5],
        lambda x: x[::-1],
    ],
)
def test_a_model_whose_rows_meet_takes_no_stacked_rows(function: Callable[[Any], Any]) -> None:
    trial = rows.try_out(of(function), INPUTS)
    assert not trial.independent
    assert trial.sample is not None


def test_a_model_that_answers_at_random_takes_no_stacked_rows() -> None:
    generator = np.random.default_rng(0)
    assert not rows.try_out(of(lambda x: generator.random(len(x))), INPUTS).independent


def test_a_model_that_fails_on_two_rows_takes_no_stacked_rows() -> None:
    def one_row(data: rows.Arrays) -> Outputs:
        if len(data["x"]) != 1:
            raise PredictionError("one row at a time")
        return {"y": data["x"]}

    trial = rows.try_out(one_row, INPUTS)
    assert trial.sample is not None
    assert not trial.independent


def test_a_model_that_refuses_made_up_rows_has_no_sample() -> None:
    def refuse(_: rows.Arrays) -> Outputs:
        raise PredictionError("no")

    assert rows.try_out(refuse, INPUTS) == rows.Trial()


def test_one_that_has_no_memory_for_a_made_up_row_does_not_load() -> None:
    def call(_data: rows.Arrays) -> Outputs:
        raise OutOfMemory("The model failed: CUDA out of memory.")

    with pytest.raises(OutOfMemory):
        rows.try_out(call, (Tensor("x", "float32", (None, None)),))


def test_free_axes_are_tried_at_a_second_length() -> None:
    def wide(data: rows.Arrays) -> Outputs:
        if data["x"].shape[1] < 8:
            raise PredictionError("too short")
        return {"y": data["x"].mean(axis=1)}

    trial = rows.try_out(wide, (Tensor("x", "float32", (None, None)),))
    assert trial.sample is not None
    assert trial.sample["x"].shape == (1, 32)
    assert trial.independent


def test_made_up_rows_have_the_declared_types() -> None:
    inputs = tuple(
        Tensor(dtype, dtype, (None, 2)) for dtype in ("float16", "int64", "bool", "uint8", "str")
    )
    trial = rows.try_out(dict, inputs)
    assert trial.sample is not None
    kinds = {name: values.dtype.name for name, values in trial.sample.items()}
    assert kinds == {n: n for n in ("float16", "int64", "bool", "uint8")} | {"str": "object"}


def test_unknown_shapes_are_not_tried() -> None:
    calls: list[Any] = []
    assert rows.try_out(calls.append, (Tensor("x", "float32", ()),)) == rows.Trial()  # type: ignore[arg-type]
    assert not calls


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9])
def test_batches_of_a_fixed_length_take_any_number_of_rows(count: int) -> None:
    seen = []

    def four(data: rows.Arrays) -> Outputs:
        seen.append(data["x"].shape)
        return {"y": data["x"] * 10}

    data = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    answer = rows.in_batches(four, 4)({"x": data})["y"]
    assert answer.tolist() == (data * 10).tolist()
    assert set(seen) == {(4, 3)}
    assert len(seen) == -(-count // 4)


def test_a_fixed_first_axis_is_a_batch_only_if_its_rows_are_independent() -> None:
    inputs, outputs = (Tensor("x", "float32", (2, 3)),), (Tensor("y", "float32", (2, 3)),)
    _, served, trial = rows.settle(of(lambda x: x * 2), inputs, outputs)
    assert served[0].shape == (None, 3)
    assert trial.independent
    _, served, trial = rows.settle(of(lambda x: x - x.mean(axis=0)), inputs, outputs)
    assert served[0].shape == (2, 3)
    assert not trial.independent


def test_rounding_is_no_dependence() -> None:
    weights = np.random.default_rng(3).standard_normal((3, 512)).astype(np.float32)

    def rounded(x: Any) -> Any:
        return (x @ weights) * np.float32(1 + 1e-6 * len(x))

    assert rows.try_out(of(rounded), INPUTS).independent
