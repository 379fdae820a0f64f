"""Contract §4.4: which files are the model, and defects of the container that are absent."""

import json
import pickle
from typing import Any

import numpy as np
import pytest

from tests.contract.boosters import predicted, raw, stopped, trained
from tests.contract.cases import get
from tests.contract.conftest import Files, MakeModel
from tests.contract.places import Place
from tests.contract.xgboost.support import (
    ANSWER,
    AS_CSV,
    JSON,
    KEYS,
    LINES,
    RECORDIO,
    ask,
    labels,
    refused,
    scores,
)
from tests.models import classes, stump
from tests.support import Answer, Server


class TestModelFiles:
    @pytest.mark.parametrize(("name", "form"), [("xgboost-model", "json"), ("anything", "ubj")])
    def test_a_file_of_any_name_is_the_model(
        self, place: Place, make_model: MakeModel, name: str, form: str
    ) -> None:
        files: Files = {name: raw(stump(), form), ".hidden": raw(classes())}
        assert ask(place.serve(make_model(files))).body == ANSWER

    def test_several_answer_with_their_mean(self, place: Place, make_model: MakeModel) -> None:
        each = [trained("reg:squarederror", seed) for seed in (1, 2, 3)]
        files: Files = {f"model-{number}": raw(booster) for number, booster in enumerate(each)}
        answer = scores(ask(place.serve(make_model(files)), AS_CSV))
        np.testing.assert_allclose(answer, np.mean([predicted(one) for one in each], 0), 1e-6)

    def test_the_mean_of_classes_is_that_of_each_class(
        self, place: Place, make_model: MakeModel
    ) -> None:
        each = [trained("multi:softprob", seed) for seed in (1, 2)]
        files: Files = {f"model-{number}": raw(booster) for number, booster in enumerate(each)}
        answer = ask(place.serve(make_model(files)), AS_CSV, accept=JSON)
        found = [one["score"] for one in json.loads(answer.body)["predictions"]]
        np.testing.assert_allclose(found, np.mean([predicted(one) for one in each], 0), 1e-6)

    def test_without_the_ensemble_the_first_answers(
        self, place: Place, make_model: MakeModel
    ) -> None:
        each = [trained("reg:squarederror", seed) for seed in (1, 2, 3)]
        files: Files = {f"model-{number}": raw(booster) for number, booster in enumerate(each)}
        server = place.serve(make_model(files), SAGEMAKER_INFERENCE_ENSEMBLE="false")
        np.testing.assert_array_equal(scores(ask(server, AS_CSV)), predicted(each[0]))


class TestDefectsThatAreAbsent:
    """What is known to be wrong with the container, by its number in the contract."""

    @pytest.mark.parametrize(
        ("accept", "body"),
        [
            (LINES, b'{"score":1.0}\n{"score":3.0}\n'),
            (RECORDIO, labels(score=[1]) + labels(score=[3])),
        ],
    )
    def test_1_types_that_it_accepts_are_no_500_without_selectable_inference(
        self, server: Server, accept: str, body: bytes
    ) -> None:
        assert ask(server, accept=accept) == Answer(200, {"content-type": accept}, body)

    def test_2_a_model_that_stopped_early_does_not_predict_with_all_its_trees(
        self, place: Place, make_model: MakeModel
    ) -> None:
        booster = stopped()
        best = booster.best_iteration + 1
        assert best < booster.num_boosted_rounds()
        answer = scores(ask(place.serve(make_model({"model.json": raw(booster, "json")})), AS_CSV))
        np.testing.assert_array_equal(answer, predicted(booster, (0, best)))
        assert not np.array_equal(answer, predicted(booster, (0, booster.num_boosted_rounds())))

    @pytest.mark.parametrize("objective", ["multi:softmax", "binary:hinge"])
    def test_3_a_vote_is_taken_for_each_row_and_not_for_all_together(
        self, place: Place, make_model: MakeModel, objective: str
    ) -> None:
        each = [trained(objective, seed) for seed in (1, 2, 3)]
        files: Files = {f"model-{number}": raw(booster) for number, booster in enumerate(each)}
        answer = scores(ask(place.serve(make_model(files)), AS_CSV))
        votes = np.array([predicted(one) for one in each], int)
        assert len(np.unique(votes, axis=1)) > 1  # they disagree
        expected = [np.bincount(row).argmax() for row in votes.T]
        assert answer.tolist() == expected
        assert len(set(expected)) > 1

    def test_4_an_error_has_its_own_status_and_is_no_503(self, server: Server) -> None:
        answers = [
            ask(server, b""),
            ask(server, b"1,2,3"),
            ask(server, content_type="image/png"),
            ask(server, b"x,y"),
            ask(server, accept="image/png"),
        ]
        assert [answer.status for answer in answers] == [204, 400, 415, 415, 406]
        assert b"Prediction failed" not in b"".join(answer.body for answer in answers)

    @pytest.mark.parametrize("accept", [JSON, LINES])
    def test_5_nan_is_null_in_json(self, place: Place, make_model: MakeModel, accept: str) -> None:
        model = make_model({"xgboost-model": raw(trained("reg:squarederror"))})
        server = place.serve(model, SAGEMAKER_INFERENCE_OUTPUT=",".join(KEYS))
        body = ask(server, AS_CSV, accept=accept).body
        assert b"NaN" not in body
        assert b'"predicted_label":null' in body

    def test_6_a_pickle_is_not_loaded(self, place: Place, make_model: MakeModel) -> None:
        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return print, ("the trap has closed",)

        for name in ("xgboost-model", "model.pkl"):
            server = place.serve(make_model({name: pickle.dumps(Trap())}))
            status, message = refused(server.ask(get("/ping")))
            assert status == 503
            assert f"{name} is a Python pickle" in message
            assert "SERVING_ALLOW_PICKLE=true" in message
            assert "the trap has closed" not in server.log

    def test_6_a_pickle_is_loaded_where_that_is_allowed(
        self, place: Place, make_model: MakeModel
    ) -> None:
        model = make_model({"xgboost-model": pickle.dumps(trained("binary:logistic"))})
        server = place.serve(model, SERVING_ALLOW_PICKLE="true")
        expected = predicted(trained("binary:logistic"))
        np.testing.assert_array_equal(scores(ask(server, AS_CSV)), expected)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"instances": [[0, 5], [2, 5]]}',
            b'{"instances": [{"features": [0, 5]}, {"features": [2, 5]}]}',
            b"[[0, 5], [2, 5]]",
        ],
    )
    def test_json_is_no_415(self, server: Server, body: bytes) -> None:
        """As the container before it in a pipeline may well answer in JSON."""
        assert ask(server, body, JSON).body == ANSWER

    def test_a_wrong_number_of_features_is_named_with_the_right_one(self, server: Server) -> None:
        _, message = refused(ask(server, b"1,2,3"))
        assert "the model takes 2 features a row, the payload has 3" in message
