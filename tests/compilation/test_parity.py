"""The comparison of a converted model with the one it was made of."""

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from serving.compilation import parity
from serving.engines.agreement import Agreement
from serving.errors import ModelLoadError
from tests.models import stump

Table = NDArray[np.float32]

ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


def first(rows: Table) -> Table:
    return rows[:, 0]


def off(row: int, by: float) -> object:
    def predict(rows: Table) -> Table:
        answers = rows[:, 0].copy()
        answers[row] += by
        return answers

    return predict


def test_equal_answers_are_counted() -> None:
    assert parity.check(first, first, ROWS, "the rows") == Agreement(3, 3, 0.0)


def test_a_difference_in_the_last_bits_passes_and_is_told() -> None:
    shown = parity.check(first, off(2, 1e-5), ROWS, "the rows")  # type: ignore[arg-type]
    assert (shown.rows, shown.equal) == (3, 2)
    assert 0 < shown.difference < 2e-5


@pytest.mark.parametrize("by", [1e-3, -1e-3, np.inf, np.nan])
def test_the_worst_row_is_named(by: float) -> None:
    expected = r"row 2 of sample\.csv is answered .* instead of \[2\.0\].*The row: \[2\.0, 3\.0\]"
    with pytest.raises(ModelLoadError, match=expected):
        parity.check(first, off(1, by), ROWS, "sample.csv")  # type: ignore[arg-type]


def test_another_shape_is_refused() -> None:
    with pytest.raises(ModelLoadError, match=r"\(3, 1\), not \(3,\)"):
        parity.check(first, lambda rows: rows[:, :1], ROWS, "the rows")


def test_what_is_no_number_in_both_is_the_same() -> None:
    rows = np.array([[np.nan], [np.inf], [-np.inf]], np.float32)
    assert parity.check(first, first, rows, "the rows").equal == 3


def test_made_up_rows_have_each_threshold_both_its_neighbours_and_missing_values() -> None:
    column = parity.made_up(stump())[:, 0]
    one = np.float32(1)
    below, above = np.nextafter(one, np.float32(0)), np.nextafter(one, np.float32(2))
    assert {below, one, above, np.float32(0)} <= set(column.tolist())
    assert np.isnan(column).any()


def test_made_up_rows_are_the_same_every_time(boosters: dict[str, xgboost.Booster]) -> None:
    rows = parity.made_up(boosters["softprob"])
    assert rows.dtype == np.float32
    assert rows.shape[1] == 5
    np.testing.assert_array_equal(rows, parity.made_up(boosters["softprob"]))
