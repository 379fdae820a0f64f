"""Contract §4.4: what an XGBoost model answers."""

import json
from pathlib import Path

import pytest

from tests.contract.boosters import raw
from tests.contract.cases import get
from tests.contract.conftest import MakeModel
from tests.contract.places import Place
from tests.contract.xgboost.support import ANSWER, CSV, JSON, LINES, RECORDIO, ask, refused
from tests.models import classes
from tests.support import Answer, Server


class TestAnswers:
    @pytest.mark.parametrize("accept", ["", "*/*", CSV, "text/csv; charset=utf-8"])
    def test_csv_is_the_default_with_a_prediction_a_line(self, server: Server, accept: str) -> None:
        assert ask(server, accept=accept) == Answer(200, {"content-type": CSV}, ANSWER)

    @pytest.mark.parametrize("accept", [JSON, "application/json; q=0.9"])
    def test_json_has_predictions_with_scores(self, server: Server, accept: str) -> None:
        body = b'{"predictions":[{"score":1.0},{"score":3.0}]}'
        assert ask(server, accept=accept) == Answer(200, {"content-type": JSON}, body)

    def test_several_scores_of_a_row_are_a_list(self, place: Place, make_model: MakeModel) -> None:
        server = place.serve(make_model({"xgboost-model": raw(classes())}))
        assert ask(server, b"1,2").body == b"0.25,0.25,0.25,0.25\n"
        quarters = [0.25] * 4
        told = json.loads(ask(server, b"1,2", accept=JSON).body)
        assert told == {"predictions": [{"score": quarters}]}

    def test_sagemaker_default_invocations_accept_is_the_default(
        self, place: Place, stump_model: Path
    ) -> None:
        server = place.serve(stump_model, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=JSON)
        for accept in ("", "*/*"):
            assert ask(server, accept=accept).headers["content-type"] == JSON

    @pytest.mark.parametrize("accept", ["text/libsvm", "image/png", "text/html"])
    def test_other_types_are_a_406(self, server: Server, accept: str) -> None:
        status, message = refused(ask(server, accept=accept))
        assert status == 406
        assert all(name in message for name in (accept, CSV, JSON, LINES, RECORDIO))

    def test_in_batch_transform_each_record_has_a_line_and_the_last_one_its_end(
        self, place: Place, stump_model: Path
    ) -> None:
        server = place.serve(stump_model, SAGEMAKER_BATCH="True")
        assert ask(server) == Answer(200, {"content-type": CSV}, ANSWER)
        assert ask(server, b"2,5").body == b"3.0\n"

    def test_execution_parameters_are_the_workers_and_the_limit_of_a_request(
        self, place: Place, stump_model: Path
    ) -> None:
        server = place.serve(stump_model, MAX_CONTENT_LENGTH=str(6 * 1024 * 1024))
        answer = server.ask(get("/execution-parameters"))
        assert answer.headers == {"content-type": JSON}
        assert json.loads(answer.body) == {
            "MaxConcurrentTransforms": 1,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": 6,
        }
