"""How far apart two libraries' answers may be."""

import numpy as np
import pytest

from serving.engines.agreement import Agreement, Rows, Tolerance, check
from serving.errors import ModelLoadError

TOLERANCE = Tolerance(absolute=0.01, relative=0.1)
EXPECTED = np.array([[0, 1], [10, 100]], np.float32)


def off(row: int, column: int, by: float) -> Rows:
    found = EXPECTED.copy()
    found[row, column] += by
    return found


def test_answers_that_are_the_same_to_the_last_bit_are_counted() -> None:
    assert check(EXPECTED, EXPECTED.copy(), TOLERANCE) == Agreement(2, 2, 0.0)


@pytest.mark.parametrize(("row", "column", "by"), [(0, 0, 0.0099), (0, 1, 0.109), (1, 1, -10)])
def test_the_absolute_and_the_relative_part_add_up(row: int, column: int, by: float) -> None:
    shown = check(EXPECTED, off(row, column, by), TOLERANCE)
    assert (shown.rows, shown.equal) == (2, 1)
    assert shown.difference == pytest.approx(abs(by), rel=1e-4)


@pytest.mark.parametrize(("row", "column", "by"), [(0, 0, 0.02), (1, 0, -1.1), (1, 1, np.nan)])
def test_more_is_refused_with_the_tolerance(row: int, column: int, by: float) -> None:
    expected = rf"row {row + 1} of the rows is answered .* allowed is 0\.01 \+ 0\.1 of the value\.$"
    with pytest.raises(ModelLoadError, match=expected):
        check(EXPECTED, off(row, column, by), TOLERANCE)


def test_a_lone_difference_is_told_as_a_number() -> None:
    with pytest.raises(ModelLoadError, match=r"which is 5 apart"):
        check(EXPECTED, off(0, 0, 5), TOLERANCE)
