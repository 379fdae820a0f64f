"""The short way through XGBoost's C interface gives what the library's own methods give."""

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from serving.engines.booster import DensePredictor, predictor
from serving.errors import BadRequest
from tests.conftest import COLUMNS

Boosters = dict[str, xgboost.Booster]
Rows = NDArray[np.float32]
IN_PLACE = ["squarederror", "logistic", "softprob", "softmax", "dart", "stopped"]
THREADS = 4


@pytest.mark.parametrize("kind", IN_PLACE)
def test_predictions_are_those_of_inplace_predict(
    kind: str, boosters: Boosters, table: Rows
) -> None:
    booster = boosters[kind]
    predict = DensePredictor(booster, (0, 0))
    for rows in (table, table[:1]):
        expected = booster.inplace_predict(rows)
        got = predict(rows)
        assert got.dtype == np.float32
        assert got.shape == expected.shape
        assert got.tobytes() == expected.tobytes()


def test_a_range_of_rounds_predicts_with_these(boosters: Boosters, table: Rows) -> None:
    booster = boosters["logistic"]
    for rounds in ((0, 1), (0, 5), (3, 7)):
        expected = booster.inplace_predict(table, iteration_range=rounds)
        assert_array_equal(DensePredictor(booster, rounds)(table), expected)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 20), st.just(COLUMNS)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_any_float_is_taken(boosters: Boosters, rows: Rows) -> None:
    booster = boosters["softprob"]
    assert_array_equal(DensePredictor(booster, (0, 0))(rows), booster.inplace_predict(rows))


def test_the_layout_and_type_of_rows_do_not_matter(boosters: Boosters, table: Rows) -> None:
    predict = DensePredictor(boosters["squarederror"], (0, 0))
    expected = predict(table)
    wide = np.full((2 * len(table), COLUMNS + 3), 9.0, np.float32)
    wide[::2, 1:-2] = table
    variants: list[Any] = [
        table.astype(np.float64),
        table.astype(">f4"),
        np.asfortranarray(table),
        wide[::2, 1:-2],
        table[::-1][::-1],
    ]
    for rows in variants:
        assert_array_equal(predict(rows), expected)


def test_several_threads_may_call_at_once(boosters: Boosters, table: Rows) -> None:
    predict = DensePredictor(boosters["softprob"], (0, 0))
    parts = [table[start::THREADS] for start in range(THREADS)]
    expected = [predict(part) for part in parts]
    together = threading.Barrier(THREADS)

    def work(part: Rows) -> list[Rows]:
        together.wait(10)
        return [predict(part) for _ in range(50)]

    with ThreadPoolExecutor(THREADS) as pool:
        for answers, alone in zip(pool.map(work, parts), expected, strict=True):
            for answer in answers:
                assert_array_equal(answer, alone)


def test_an_answer_stays_when_the_next_is_made(boosters: Boosters, table: Rows) -> None:
    predict = DensePredictor(boosters["squarederror"], (0, 0))
    first = predict(table[:3])
    kept = first.copy()
    predict(-table[:3])
    assert_array_equal(first, kept)


def test_nothing_is_kept_for_each_number_of_rows_there_was(boosters: Boosters, table: Rows) -> None:
    predict = DensePredictor(boosters["squarederror"], (0, 0))
    predict(table)
    gc.collect()
    tracemalloc.start()
    try:
        for count in range(1, 200):
            predict(table[:count])
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000


def test_the_library_says_what_it_refuses(boosters: Boosters, table: Rows) -> None:
    predict = DensePredictor(boosters["squarederror"], (0, 0))
    with pytest.raises(xgboost.core.XGBoostError, match="Number of columns"):
        predict(np.zeros((1, COLUMNS + 1), np.float32))
    assert len(predict(table)) == len(table)


class TestPredictor:
    """One booster, or several together."""

    def test_one_that_stopped_early_predicts_with_its_best_round(
        self, boosters: Boosters, table: Rows
    ) -> None:
        booster = boosters["stopped"]
        best = booster.best_iteration
        assert best + 1 < booster.num_boosted_rounds()
        got = predictor([booster], "binary:logistic")(table)
        assert_array_equal(got, booster.inplace_predict(table, iteration_range=(0, best + 1)))
        assert (got != booster.inplace_predict(table)).any()

    def test_a_linear_one_predicts_as_the_library_does(
        self, boosters: Boosters, table: Rows
    ) -> None:
        booster = boosters["linear"]
        rows = np.nan_to_num(table)
        got = predictor([booster], "reg:squarederror")(rows)
        assert_array_equal(got, booster.predict(xgboost.DMatrix(rows)))

    def test_a_linear_one_takes_no_infinity_and_says_so(
        self, boosters: Boosters, table: Rows
    ) -> None:
        rows = np.full((1, COLUMNS), np.inf, np.float32)
        with pytest.raises(BadRequest) as refusal:
            predictor([boosters["linear"]], "reg:squarederror")(rows)
        message = str(refusal.value)
        assert message.startswith("Unable to evaluate payload provided: Input data contains `inf`")
        assert "\n" not in message

    def test_several_predict_their_mean(self, boosters: Boosters, table: Rows) -> None:
        pair = [boosters["squarederror"], boosters["dart"]]
        expected = np.mean([each.inplace_predict(table) for each in pair], axis=0)
        got = predictor(pair, "reg:squarederror")(table)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-6)

    def test_labels_are_voted_for_row_by_row(self, boosters: Boosters, table: Rows) -> None:
        softmax = boosters["softmax"]
        flat = DensePredictor(softmax, (0, 1))
        got = predictor([softmax, softmax, softmax], "multi:softmax")(table)
        assert_array_equal(got, softmax.inplace_predict(table))
        assert got.shape == flat(table).shape
        assert set(np.unique(got)) <= {0.0, 1.0, 2.0}
