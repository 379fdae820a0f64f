"""Contract §4.4: selectable inference."""

import csv
import io
import json

import pytest

from tests.contract.boosters import ROWS, predicted, raw, trained
from tests.contract.conftest import MakeModel
from tests.contract.places import Place
from tests.contract.xgboost.support import (
    AS_CSV,
    CSV,
    JSON,
    KEYS,
    LINES,
    OBJECTIVES,
    RECORDIO,
    ask,
    labels,
    refused,
    selected,
)
from tests.models import classes
from tests.support import Answer, Server


class TestSelectableInference:
    """SAGEMAKER_INFERENCE_OUTPUT."""

    @pytest.mark.parametrize("objective", OBJECTIVES)
    def test_each_objective_has_its_keys_and_null_for_the_others(
        self, place: Place, make_model: MakeModel, objective: str
    ) -> None:
        booster = trained(objective)
        model = make_model({"xgboost-model": raw(booster)})
        server = place.serve(model, SAGEMAKER_INFERENCE_OUTPUT=",".join(KEYS))
        predictions = json.loads(ask(server, AS_CSV, accept=JSON).body)["predictions"]
        assert len(predictions) == len(ROWS)
        for found, score in zip(predictions, predicted(booster).tolist(), strict=True):
            known = selected(objective, score)
            assert known.keys() == set(OBJECTIVES[objective])
            assert found == dict.fromkeys(KEYS) | known

    def test_another_objective_is_a_500_that_names_it(
        self, place: Place, make_model: MakeModel
    ) -> None:
        model = make_model({"xgboost-model": raw(trained("rank:pairwise"))})
        server = place.serve(model, SAGEMAKER_INFERENCE_OUTPUT="predicted_label")
        status, message = refused(ask(server, AS_CSV))
        assert status == 500
        assert "`rank:pairwise` is unsupported" in message

    @pytest.fixture
    def chosen(self, place: Place, make_model: MakeModel) -> Server:
        """Answers with the label and the probabilities of four classes that are equally likely."""
        model = make_model({"xgboost-model": raw(classes())})
        return place.serve(model, SAGEMAKER_INFERENCE_OUTPUT="predicted_label, probabilities")

    def test_json_has_an_object_for_each_prediction(self, chosen: Server) -> None:
        one = {"predicted_label": 0, "probabilities": [0.25, 0.25, 0.25, 0.25]}
        answer = ask(chosen, accept=JSON)
        assert answer.headers == {"content-type": JSON}
        assert json.loads(answer.body) == {"predictions": [one, one]}

    def test_jsonlines_has_an_object_a_line(self, chosen: Server) -> None:
        answer = ask(chosen, accept=LINES)
        line = b'{"predicted_label":0,"probabilities":[0.25,0.25,0.25,0.25]}\n'
        assert answer == Answer(200, {"content-type": LINES}, line * 2)

    def test_csv_quotes_lists(self, chosen: Server) -> None:
        answer = ask(chosen, accept=CSV)
        line = b'0,"[0.25, 0.25, 0.25, 0.25]"'
        assert answer == Answer(200, {"content-type": CSV}, line + b"\n" + line)
        cells = next(csv.reader(io.StringIO(answer.body.decode())))
        assert json.loads(cells[1]) == [0.25] * 4

    def test_recordio_has_a_label_map_of_float32_tensors(self, chosen: Server) -> None:
        one = labels(predicted_label=[0], probabilities=[0.25, 0.25, 0.25, 0.25])
        answer = ask(chosen, accept=RECORDIO)
        assert answer == Answer(200, {"content-type": RECORDIO}, one * 2)

    def test_in_batch_transform_the_last_line_has_its_end(
        self, place: Place, make_model: MakeModel
    ) -> None:
        model = make_model({"xgboost-model": raw(classes())})
        variables = {"SAGEMAKER_INFERENCE_OUTPUT": "predicted_label", "SAGEMAKER_BATCH": "true"}
        assert ask(place.serve(model, **variables)).body == b"0\n0\n"
