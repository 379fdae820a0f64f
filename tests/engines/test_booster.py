"""The short way through XGBoost's C interface gives what the library's own methods give."""

import gc
import json
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
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
from serving.engines.libxgboost import Booster, XGBoostError
from serving.errors import BadRequest
from tests.conftest import COLUMNS
from tests.models import stump

Boosters = dict[str, xgboost.Booster]
Rows = NDArray[np.float32]
IN_PLACE = ["squarederror", "logistic", "softprob", "softmax", "dart", "stopped"]
THREADS = 4


def read(booster: xgboost.Booster) -> Booster:
    """The same, as the server reads it of a file."""
    return Booster.read(bytes(booster.save_raw("ubj")))


@pytest.mark.parametrize("kind", IN_PLACE)
def test_predictions_are_those_of_inplace_predict(
    kind: str, boosters: Boosters, table: Rows
) -> None:
    booster = boosters[kind]
    predict = DensePredictor(read(booster), (0, 0))
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
        assert_array_equal(DensePredictor(read(booster), rounds)(table), expected)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 20), st.just(COLUMNS)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    )
)
def test_any_float_is_taken(boosters: Boosters, rows: Rows) -> None:
    booster = boosters["softprob"]
    assert_array_equal(DensePredictor(read(booster), (0, 0))(rows), booster.inplace_predict(rows))


def test_the_layout_and_type_of_rows_do_not_matter(boosters: Boosters, table: Rows) -> None:
    predict = DensePredictor(read(boosters["squarederror"]), (0, 0))
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
    predict = DensePredictor(read(boosters["softprob"]), (0, 0))
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
    predict = DensePredictor(read(boosters["squarederror"]), (0, 0))
    first = predict(table[:3])
    kept = first.copy()
    predict(-table[:3])
    assert_array_equal(first, kept)


def test_nothing_is_kept_for_each_number_of_rows_there_was(boosters: Boosters, table: Rows) -> None:
    predict = DensePredictor(read(boosters["squarederror"]), (0, 0))
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
    predict = DensePredictor(read(boosters["squarederror"]), (0, 0))
    with pytest.raises(XGBoostError, match="Number of columns"):
        predict(np.zeros((1, COLUMNS + 1), np.float32))
    assert len(predict(table)) == len(table)


def test_the_package_is_not_imported(tmp_path: Path) -> None:
    stump().save_model(tmp_path / "model.ubj")
    code = """
    import sys
    from pathlib import Path
    from serving import configuration, engines
    from serving.values import Request
    model = engines.load(Path(sys.argv[1]), configuration.read({}))
    request = Request("POST", "/invocations", {"content-type": "text/csv"}, b"0,1")
    answer = model.encode(model.predict(model.decode(request)), "text/csv", request)
    print(answer.body.decode().strip(), {"xgboost", "scipy"} & sys.modules.keys())
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code), tmp_path], check=True, capture_output=True, text=True
    )
    assert done.stdout == "1.0 set()\n"


class TestPackage:
    """The package's Booster, for those who work with it."""

    @pytest.mark.parametrize("kind", [*IN_PLACE, "linear"])
    def test_it_predicts_the_same(self, kind: str, boosters: Boosters, table: Rows) -> None:
        mine = read(boosters[kind])
        predict = predictor([mine], "reg:squarederror")
        before = predict(table)
        given = mine.package()
        rows = xgboost.DMatrix(table)
        assert_array_equal(given.predict(rows), boosters[kind].predict(rows))
        assert_array_equal(predict(table), before)

    def test_there_is_one_and_it_has_the_parameters(self, boosters: Boosters) -> None:
        mine = read(boosters["stopped"])
        mine.set("nthread", 3)
        given = mine.package()
        assert given is mine.package()
        assert given.handle is mine.handle
        assert json.loads(given.save_config())["learner"]["generic_param"]["nthread"] == "3"
        assert given.attributes() == boosters["stopped"].attributes()
        assert mine.width() == COLUMNS

    def test_of_a_pickle_it_is_what_was_pickled(self, boosters: Boosters) -> None:
        assert Booster(boosters["dart"]).package() is boosters["dart"]


class TestPredictor:
    """One booster, or several together."""

    def test_one_that_stopped_early_predicts_with_its_best_round(
        self, boosters: Boosters, table: Rows
    ) -> None:
        booster = boosters["stopped"]
        best = booster.best_iteration
        assert best + 1 < booster.num_boosted_rounds()
        got = predictor([read(booster)], "binary:logistic")(table)
        assert_array_equal(got, booster.inplace_predict(table, iteration_range=(0, best + 1)))
        assert (got != booster.inplace_predict(table)).any()

    def test_a_linear_one_predicts_as_the_library_does(
        self, boosters: Boosters, table: Rows
    ) -> None:
        booster = boosters["linear"]
        rows = np.nan_to_num(table)
        got = predictor([read(booster)], "reg:squarederror")(rows)
        assert_array_equal(got, booster.predict(xgboost.DMatrix(rows)))

    def test_a_linear_one_takes_no_infinity_and_says_so(
        self, boosters: Boosters, table: Rows
    ) -> None:
        rows = np.full((1, COLUMNS), np.inf, np.float32)
        with pytest.raises(BadRequest) as refusal:
            predictor([read(boosters["linear"])], "reg:squarederror")(rows)
        message = str(refusal.value)
        assert message.startswith("Unable to evaluate payload provided: Input data contains `inf`")
        assert "\n" not in message

    def test_several_predict_their_mean(self, boosters: Boosters, table: Rows) -> None:
        pair = [boosters["squarederror"], boosters["dart"]]
        expected = np.mean([each.inplace_predict(table) for each in pair], axis=0)
        got = predictor([read(each) for each in pair], "reg:squarederror")(table)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-6)

    def test_labels_are_voted_for_row_by_row(self, boosters: Boosters, table: Rows) -> None:
        softmax = boosters["softmax"]
        flat = DensePredictor(read(softmax), (0, 1))
        got = predictor([read(softmax)] * 3, "multi:softmax")(table)
        assert_array_equal(got, softmax.inplace_predict(table))
        assert got.shape == flat(table).shape
        assert set(np.unique(got)) <= {0.0, 1.0, 2.0}
