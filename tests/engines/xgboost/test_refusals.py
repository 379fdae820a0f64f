"""What XGBoost models refuse, with the container's statuses and words."""

import re
from typing import Any

import numpy as np
import pytest

from serving.model import Model
from tests.conftest import COLUMNS
from tests.engines.xgboost.bodies import (
    BODIES,
    CSV,
    JSON,
    LIBSVM,
    LINES,
    NPY,
    RECORDIO,
    SPARSE,
    Rows,
    as_libsvm,
    as_npy,
)
from tests.engines.xgboost.support import Load, ask, refusal


class TestRefusals:
    @pytest.fixture
    def model(self, load: Load) -> Model:
        return load("logistic")

    def test_a_missing_content_type_is_libsvm(self, model: Model, table: Rows) -> None:
        body = as_libsvm(table[:2])
        assert ask(model, body, None) == ask(model, body, LIBSVM)
        assert ask(model, body, "") == ask(model, body, LIBSVM)
        assert refusal(ask(model, "1,2,3", None))[0] == 415

    @pytest.mark.parametrize("name", ["csv", "libsvm", "text/x-libsvm", "recordio-protobuf"])
    def test_the_containers_short_names_are_known(
        self, model: Model, table: Rows, name: str
    ) -> None:
        form = {"csv": "csv", "recordio-protobuf": "recordio"}.get(name, "libsvm")
        body = BODIES[form][1](table[:2])
        assert ask(model, body, name) == ask(model, body, BODIES[form][0])

    @pytest.mark.parametrize("name", ["image/png", "application/x-parquet", "text/plain"])
    def test_other_types_are_refused_with_those_that_are_read(
        self, model: Model, name: str
    ) -> None:
        status, message = refusal(ask(model, "1,2,3,4,5", name))
        assert status == 415
        assert message.startswith(f"{name} is not an accepted Content-Type")
        assert all(known in message for known in model.reads)

    @pytest.mark.parametrize(
        ("content_type", "name", "body"),
        [
            (CSV, "csv", b"1,2,x"),
            (CSV, "csv", b"1,2\n1,2,3"),
            ("text/csv; label_size=2", "csv", b"1,2,3,4,5"),
            ("text/csv; charset=klingon", "csv", b"1,2,3,4,5"),
            (LIBSVM, "libsvm", b"0 a:b"),
            (RECORDIO, "recordio-protobuf", b"not recordio"),
            (JSON, "json", b"{"),
            (LINES, "jsonlines", b"[1]\n["),
            (NPY, "npy", b"\x93NUMPY"),
        ],
    )
    def test_what_cannot_be_parsed_is_415_in_the_containers_words(
        self, model: Model, content_type: str, name: str, body: bytes
    ) -> None:
        status, message = refusal(ask(model, body, content_type))
        assert status == 415
        assert message.startswith(
            f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n "
        )

    @pytest.mark.parametrize("columns", [1, COLUMNS - 1, COLUMNS + 1, 50])
    @pytest.mark.parametrize("form", [form for form in BODIES if form not in SPARSE])
    def test_rows_of_another_width_are_400(self, model: Model, form: str, columns: int) -> None:
        content_type, write_body = BODIES[form]
        body = write_body(np.ones((2, columns), np.float32))
        status, message = refusal(ask(model, body, content_type))
        assert status == 400
        assert {str(COLUMNS), str(columns)} <= set(re.findall(r"\d+", message))

    @pytest.mark.parametrize("form", SPARSE)
    def test_so_are_sparse_ones_that_are_wider_but_not_narrower_ones(
        self, model: Model, form: str
    ) -> None:
        content_type, write_body = BODIES[form]
        wide = write_body(np.ones((2, COLUMNS + 1), np.float32))
        status, message = refusal(ask(model, wide, content_type))
        assert status == 400
        assert message.endswith("the model takes 5 features a row, the payload has 6.")
        narrow = write_body(np.ones((2, COLUMNS - 1), np.float32))
        assert ask(model, narrow, content_type).status == 200

    @pytest.mark.parametrize(
        ("values", "told"),
        [
            (np.float32(1), "the payload has 1"),
            (np.ones((1, 1, COLUMNS)), "the payload has the shape (1, 1, 5)"),
            (np.ones((COLUMNS, 2)), "the payload has 2"),
            (np.ones((1, COLUMNS), complex), "complex"),
            (np.full((1, COLUMNS), "1.5"), "<U3"),
            (np.full((1, COLUMNS), b"1.5"), "|S3"),
        ],
    )
    def test_arrays_that_are_no_table_of_numbers_are_400(
        self, model: Model, values: Any, told: str
    ) -> None:
        status, message = refusal(ask(model, as_npy(values), NPY))
        assert status == 400
        assert told in message

    def test_integers_and_booleans_are_numbers(self, model: Model) -> None:
        rows = np.array([[0, 1, 1, 0, 1]])
        answers = {ask(model, as_npy(rows.astype(kind)), NPY) for kind in ("?", "i8", "u1", "f2")}
        assert len(answers) == 1
        assert answers.pop().status == 200

    def test_a_sparse_table_too_large_to_fill_up_is_413(
        self, model: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("serving.codecs.base.MAX_DENSE", 4 * COLUMNS * 2)
        assert ask(model, "1:1\n2:1", LIBSVM).status == 200
        status, message = refusal(ask(model, "1:1\n2:1\n3:1", LIBSVM))
        assert status == 413
        assert message.startswith("3 sparse rows of 5 columns need more than 0 MiB")

    def test_a_declared_width_allocates_nothing(self, model: Model) -> None:
        status, message = refusal(ask(model, "2147483000:1", LIBSVM))
        assert status == 400
        assert "2147483000" in message
