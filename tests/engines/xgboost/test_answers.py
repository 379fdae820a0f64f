"""What XGBoost models answer in every format: the container's shapes, contract 4.4."""

import io
import json
import struct
from array import array

import numpy as np
import pytest

from serving.codecs import record
from serving.codecs.record import Tensor
from serving.errors import SettingError
from serving.model import Model
from tests.conftest import COLUMNS
from tests.engines.xgboost.bodies import CSV, JSON, LINES, NPY, RECORDIO, Rows, as_csv
from tests.engines.xgboost.support import Boosters, Load, ask, expected, scores


class TestAnswers:
    """The container's shapes, contract 4.4."""

    @pytest.fixture
    def model(self, load: Load) -> Model:
        return load("logistic")

    @pytest.fixture
    def answer(self, boosters: Boosters, table: Rows) -> list[float]:
        predictions: list[float] = expected(boosters["logistic"], table[:3]).tolist()
        return predictions

    def test_csv_has_a_line_a_row(self, model: Model, table: Rows, answer: list[float]) -> None:
        body = ask(model, as_csv(table[:3])).body
        assert isinstance(body, bytes)
        assert body.endswith(b"\n")
        assert [np.float32(line) for line in body.splitlines()] == answer

    def test_json_has_an_object_a_row(self, model: Model, table: Rows, answer: list[float]) -> None:
        response = ask(model, as_csv(table[:3]), accept=JSON)
        assert response.content_type == JSON
        assert isinstance(response.body, bytes)
        assert json.loads(response.body) == {"predictions": [{"score": one} for one in answer]}

    def test_jsonlines_has_an_object_a_line(
        self, model: Model, table: Rows, answer: list[float]
    ) -> None:
        response = ask(model, as_csv(table[:3]), accept=LINES)
        assert isinstance(response.body, bytes)
        lines = response.body.splitlines()
        assert [json.loads(line) for line in lines] == [{"score": one} for one in answer]

    def test_npy_has_the_array(self, model: Model, table: Rows, answer: list[float]) -> None:
        response = ask(model, as_csv(table[:3]), accept=NPY)
        assert isinstance(response.body, bytes)
        array = np.load(io.BytesIO(response.body))
        assert (array.dtype, array.tolist()) == (np.dtype(np.float32), answer)

    def test_recordio_has_a_record_a_row(
        self, model: Model, table: Rows, answer: list[float]
    ) -> None:
        response = ask(model, as_csv(table[:3]), accept=RECORDIO)
        messages = [
            record.write({}, {"score": Tensor(np.array([one], "f4"), array("Q"), array("Q"))})
            for one in answer
        ]
        assert response.body == b"".join(
            struct.pack("<II", 0xCED7230A, len(one)) + one + bytes(-len(one) % 4)
            for one in messages
        )

    def test_probabilities_of_classes_stand_side_by_side(
        self, load: Load, boosters: Boosters, table: Rows
    ) -> None:
        model = load("softprob")
        answer = expected(boosters["softprob"], table[:2])
        assert answer.shape == (2, 3)
        assert scores(ask(model, as_csv(table[:2]))).tolist() == answer.tolist()
        response = ask(model, as_csv(table[:2]), accept=JSON)
        assert isinstance(response.body, bytes)
        rows = [{"score": row} for row in answer.tolist()]
        assert json.loads(response.body) == {"predictions": rows}

    def test_csv_is_the_default_unless_the_setting_says_otherwise(self, load: Load) -> None:
        assert load().writes == (CSV, JSON, LINES, RECORDIO, NPY)
        assert load(default_accept="application/json; x=y").writes[0] == JSON
        with pytest.raises(SettingError, match="'image/png' is nothing this model can answer"):
            load(default_accept="image/png")

    def test_the_model_says_what_it_takes_and_gives(self, load: Load) -> None:
        model = load("softprob")
        assert model.inputs == (("features", "float32", (None, COLUMNS)),)
        assert model.outputs == (("score", "float32", (None, 3)),)
        assert load("logistic").outputs == (("score", "float32", (None,)),)
        assert model.engine == "xgboost"
        assert model.foreign == frozenset()
