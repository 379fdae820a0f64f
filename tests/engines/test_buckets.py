"""Any number of rows for a model that takes a few numbers of them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.engines import buckets, rows
from serving.errors import BadRequest, PredictionError


class Fixed:
    """Doubles x, and takes 2, 4 or 8 rows; it keeps what it was given."""

    def __init__(self) -> None:
        self.calls: list[list[float]] = []

    def __call__(self, data: rows.Arrays) -> dict[str, NDArray[Any]]:
        assert len(data["x"]) in (2, 4, 8)
        self.calls.append(data["x"].ravel().tolist())
        return {"doubled": data["x"] * 2, "first": data["x"][:, 0]}


@pytest.mark.parametrize(
    ("count", "calls"),
    [
        (1, [[0, 0]]),
        (2, [[0, 1]]),
        (3, [[0, 1, 2, 2]]),
        (5, [[0, 1, 2, 3, 4, 4, 4, 4]]),
        (8, [[0, 1, 2, 3, 4, 5, 6, 7]]),
        (9, [[0, 1, 2, 3, 4, 5, 6, 7], [8, 8]]),
        (
            19,
            [
                [0, 1, 2, 3, 4, 5, 6, 7],
                [8, 9, 10, 11, 12, 13, 14, 15],
                [16, 17, 18, 18],
            ],
        ),
    ],
)
def test_rows_are_filled_up_to_the_smallest_size_that_holds_them(
    count: int, calls: list[list[float]]
) -> None:
    model = Fixed()
    x = np.arange(count, dtype=np.float32)[:, np.newaxis]
    answer = buckets.padded(model, [8, 2, 4])({"x": x})
    assert model.calls == calls
    assert np.array_equal(answer["doubled"], x * 2)
    assert np.array_equal(answer["first"], x[:, 0])


def test_an_answer_that_is_not_by_rows_cannot_be_cut() -> None:
    call = buckets.padded(lambda data: {"sum": data["x"].sum(0)}, [4])
    with pytest.raises(PredictionError, match=r"answered 4 rows with sum of shape \(2,\)"):
        call({"x": np.ones((3, 2), np.float32)})


def test_rows_that_affect_each_other_are_never_filled_up() -> None:
    model = Fixed()
    call = buckets.exact(model, [8, 2])
    assert call({"x": np.ones((2, 1))})["doubled"].tolist() == [[2], [2]]
    with pytest.raises(BadRequest, match=r"takes 2 or 8 rows at once.*the body has 3"):
        call({"x": np.ones((3, 1))})
