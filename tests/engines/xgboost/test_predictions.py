"""XGBoost models predict what the library does, whatever the format of the rows."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from serving.stacking import split, stack
from serving.values import Request
from tests.conftest import COLUMNS
from tests.engines.xgboost.bodies import BODIES, JSON, KINDS, LIBSVM, NPY, Rows, as_csv, as_npy
from tests.engines.xgboost.support import Boosters, Load, ask, expected, refusal, scores


class TestPredictions:
    @pytest.mark.parametrize("form", BODIES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_format_gets_what_the_library_predicts(
        self, load: Load, boosters: Boosters, table: Rows, kind: str, form: str
    ) -> None:
        content_type, write_body = BODIES[form]
        model = load(kind)
        assert_array_equal(
            scores(ask(model, write_body(table), content_type)), expected(boosters[kind], table)
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_row_alone_gets_what_it_gets_among_others(
        self, load: Load, boosters: Boosters, table: Rows, kind: str
    ) -> None:
        model = load(kind)
        alone = [scores(ask(model, as_csv(row[np.newaxis])))[0] for row in table[:20]]
        assert_array_equal(np.array(alone), expected(boosters[kind], table[:20]))

    def test_requests_in_different_formats_are_stacked(
        self, load: Load, boosters: Boosters, table: Rows
    ) -> None:
        model = load("softprob")
        payloads = []
        for index, (content_type, write_body) in enumerate(BODIES.values()):
            body = write_body(table[index : index + 2])
            raw = body.encode() if isinstance(body, str) else body
            request = Request("POST", "/invocations", {"content-type": content_type}, raw)
            payloads.append(model.decode(request))
        assert {payload.merge_key for payload in payloads} == {model.merge_key}
        assert model.merge_key is not None
        together = split(model.predict(stack(payloads)), [2] * len(payloads))
        for index, prediction in enumerate(together):
            rows = table[index : index + 2]
            assert_array_equal(prediction.outputs["score"], expected(boosters["softprob"], rows))

    def test_one_row_needs_no_list_around_it(
        self, load: Load, boosters: Boosters, table: Rows
    ) -> None:
        row = np.nan_to_num(table[:1])
        answer = expected(boosters["logistic"], row)
        model = load()
        for body, content_type in (
            (as_npy(row[0]), NPY),
            (json.dumps(row[0].tolist()), JSON),
            (json.dumps({"features": row[0].tolist()}), JSON),
        ):
            assert_array_equal(scores(ask(model, body, content_type)), answer)

    def test_absent_cells_are_missing_and_not_zero(self, load: Load, boosters: Boosters) -> None:
        model = load("squarederror")
        missing = np.full((1, COLUMNS), np.nan, np.float32)
        present = missing.copy()
        present[0, 4] = 2.0
        rows = np.concatenate([present, missing])
        answer = expected(boosters["squarederror"], rows)
        assert answer[1] != expected(boosters["squarederror"], np.zeros((1, COLUMNS), "f4"))[0]
        assert_array_equal(scores(ask(model, "0 5:2\n0", LIBSVM)), answer)
        assert_array_equal(scores(ask(model, ",,,,2\n,,,,nan")), answer)

    def test_libsvm_counts_from_one_or_from_zero(self, load: Load) -> None:
        model = load("squarederror")
        from_one = ask(model, "1:3 2:1\n4:1", LIBSVM)
        assert ask(model, "0:3 1:1\n3:1", LIBSVM) == from_one
        assert scores(from_one).shape == (2,)

    def test_a_float_beyond_float32_is_infinite(self, load: Load, boosters: Boosters) -> None:
        rows = np.array([[np.inf, -np.inf, 0, 0, 0]], np.float32)
        answer = boosters["squarederror"].inplace_predict(rows)
        assert_array_equal(scores(ask(load("squarederror"), "1e39,-1e39,0,0,0")), answer)

    def test_an_infinity_the_model_refuses_is_the_clients_error(self, load: Load) -> None:
        status, message = refusal(ask(load("linear"), "1e39,0,0,0,0"))
        assert status == 400
        assert message.startswith("Unable to evaluate payload provided: Input data contains `inf`")
