"""Payloads into one and predictions apart again."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from serving.errors import PredictionError
from serving.stacking import split, stack
from serving.values import Payload, Prediction

COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=8)


def rows(count: int, start: int = 0) -> np.ndarray[Any, Any]:
    return np.arange(start, start + count * 3, dtype=np.float32).reshape(count, 3)


def test_arrays_are_joined_in_their_order() -> None:
    together = stack([Payload(rows(1), 1, "key"), Payload(rows(2, 10), 2, "key")])
    assert_array_equal(together.data, np.concatenate([rows(1), rows(2, 10)]))
    assert (together.rows, together.merge_key) == (3, "key")
    assert together.data.dtype == np.float32


def test_named_arrays_are_joined_by_name() -> None:
    words = np.array(["a", "b"], dtype=object)
    first = Payload({"x": rows(1), "word": words[:1]}, 1, "key")
    second = Payload({"x": rows(1, 5), "word": words[1:]}, 1, "key")
    together = stack([first, second])
    assert_array_equal(together.data["x"], np.concatenate([rows(1), rows(1, 5)]))
    assert_array_equal(together.data["word"], words)


@given(COUNTS)
def test_what_was_stacked_comes_apart_as_it_was(counts: list[int]) -> None:
    parts = [rows(count, 100 * index) for index, count in enumerate(counts)]
    together = stack([Payload(part, len(part), "key") for part in parts])
    for outputs in (together.data, {"y": together.data, "z": together.data[:, 0]}):
        answers = split(Prediction(outputs), counts)
        assert len(answers) == len(parts)
        for answer, part in zip(answers, parts, strict=True):
            if isinstance(outputs, dict):
                assert_array_equal(answer.outputs["y"], part)
                assert_array_equal(answer.outputs["z"], part[:, 0])
            else:
                assert_array_equal(answer.outputs, part)


@given(COUNTS, hnp.arrays(np.int8, st.integers(0, 50)))
def test_a_model_that_answers_other_rows_than_it_was_asked_fails(
    counts: list[int], outputs: np.ndarray[Any, Any]
) -> None:
    if len(outputs) == sum(counts):
        assert len(split(Prediction(outputs), counts)) == len(counts)
        return
    expected = f"The model answered {len(outputs)} rows to {sum(counts)}"
    with pytest.raises(PredictionError, match=expected):
        split(Prediction(outputs), counts)
    with pytest.raises(PredictionError, match=expected):
        split(Prediction({"right": np.zeros(sum(counts)), "wrong": outputs}), counts)


def test_a_list_is_split_as_an_array_is() -> None:
    assert split(Prediction(["a", "b", "c"]), [1, 2]) == [Prediction(["a"]), Prediction(["b", "c"])]
