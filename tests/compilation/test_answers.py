"""The comparison of named outputs."""

from typing import Any

import numpy as np
import pytest

from serving.compilation import answers
from serving.errors import ModelLoadError, SettingError


def outputs(values: Any, dtype: Any = np.float32) -> dict[str, Any]:
    return {"y": np.array(values, dtype)}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (outputs([1, 1000]), outputs([1.001, 1000])),  # the largest allows for cancelled sums
        (outputs([np.nan, np.inf, 1]), outputs([np.nan, np.inf, 1])),
        (outputs([1], np.float16), outputs([1.005], np.float16)),
        (outputs([1, 2], np.int64), outputs([1, 2], np.int64)),
        (outputs(["a"], object), outputs(["a"], object)),
    ],
)
def test_answers_that_are_alike_pass(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert answers.check(left, right, "the rows") <= 0.01


@pytest.mark.parametrize(
    ("left", "right", "row"),
    [
        (outputs([1, 1]), outputs([1, 1.001]), 2),
        (outputs([[1, 1], [1, 1], [1, 1]]), outputs([[1, 1.1], [1, 1.2], [1, 1]]), 2),
        (outputs([1, 1]), outputs([np.nan, 1]), 1),
        (outputs([np.inf, 1]), outputs([-np.inf, 1]), 1),
        (outputs([1, 2], np.int64), outputs([1, 3], np.int64), 2),
        (outputs(["a"], object), outputs(["b"], object), 1),
    ],
)
def test_the_worst_row_is_named(left: dict[str, Any], right: dict[str, Any], row: int) -> None:
    with pytest.raises(ModelLoadError, match=rf"row {row} of rows\.csv is answered y="):
        answers.check(left, right, "rows.csv")


@pytest.mark.parametrize("found", [{}, outputs([[1]])])
def test_another_shape_is_refused(found: dict[str, Any]) -> None:
    with pytest.raises(ModelLoadError, match=r"answers y (not at all|in the shape \(1, 1\)), not"):
        answers.check(outputs([1]), found, "the rows")


def test_differences_are_measured() -> None:
    left, right = outputs([[0, 1], [0, 1]]), outputs([[0, 1], [3, 1]])
    (shown,) = answers.measure(left, right)
    assert shown == ("y", 3.0, 0.75, 0.5)


def test_floats_without_classes_have_no_share_of_the_same() -> None:
    (shown,) = answers.measure(outputs([1]), outputs([2]))
    assert shown == ("y", 1.0, 1.0, None)


def test_what_has_no_numbers_has_a_share_of_the_same_alone() -> None:
    (shown,) = answers.measure(outputs(["a", "b"], object), outputs(["a", "c"], object))
    assert np.isnan(shown.largest)
    assert shown.same == 0.5


def test_classes_are_those_of_the_highest_scores_or_what_a_number_says() -> None:
    labels = {"label": np.array([7, 8])}
    assert answers.classes({**labels, **outputs([[0, 1], [1, 0]])}).tolist() == [1, 0]
    assert answers.classes({**outputs([1.0, 2.0]), **labels}).tolist() == [7, 8]
    with pytest.raises(SettingError, match=r"--labels needs .*has y \(2,\)"):
        answers.classes(outputs([1, 2]))
