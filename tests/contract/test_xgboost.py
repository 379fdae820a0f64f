"""Contract §4.4: models without code are served as SageMaker's XGBoost container serves them."""

import csv
import io
import json
import pickle
import struct
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.codecs import record
from serving.codecs.record import Tensor
from tests.contract.boosters import CLASSES, ROWS, predicted, raw, stopped, trained
from tests.contract.cases import get, post
from tests.contract.conftest import Files, MakeModel
from tests.contract.places import Place
from tests.models import classes, stump
from tests.support import Answer, Server

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
LIBSVM, RECORDIO = "text/libsvm", "application/x-recordio-protobuf"

TWO_ROWS, ANSWER = b"0,5\n2,5\n", b"1.0\n3.0\n"
"""The stump answers 1 where the first of two features is below 1, and 3 where it is not."""

KEYS = (
    *("predicted_label", "labels", "probability", "probabilities"),
    *("raw_score", "raw_scores", "predicted_score"),
)
"""All that SAGEMAKER_INFERENCE_OUTPUT may choose."""

OBJECTIVES = {
    **dict.fromkeys(
        (
            *("reg:squarederror", "reg:logistic", "reg:gamma"),
            *("reg:absoluteerror", "reg:tweedie"),
        ),
        KEYS[6:],
    ),
    **dict.fromkeys(("binary:logistic", "multi:softprob"), KEYS[:6]),
    **dict.fromkeys(("binary:logitraw", "binary:hinge", "multi:softmax"), (*KEYS[:2], *KEYS[4:6])),
}
"""The keys that each objective has."""

AS_CSV = "\n".join(",".join(map(repr, row)) for row in ROWS.tolist()).encode()


def frame(message: bytes) -> bytes:
    """A record in recordio's framing: the magic number, the length, padding to four bytes."""
    return struct.pack("<II", 0xCED7230A, len(message)) + message + bytes(-len(message) % 4)


def row(values: Any, dtype: str, keys: tuple[int, ...] = (), width: int = 0) -> bytes:
    """A record with the feature ``values``, sparse where it has keys."""
    shape = array("Q", [width] if width else [])
    tensor = Tensor(np.array(values, dtype), array("Q", keys), shape)
    return frame(record.write({"values": tensor}, {}))


def labels(**values: list[float]) -> bytes:
    """A record of an answer: float32 tensors by name."""
    tensors = {
        name: Tensor(np.array(each, np.float32), array("Q"), array("Q"))
        for name, each in values.items()
    }
    return frame(record.write({}, tensors))


def ask(
    server: Server, body: bytes = TWO_ROWS, content_type: str = CSV, accept: str = ""
) -> Answer:
    return server.ask(post(body, content_type, accept))


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, str(json.loads(answer.body)["message"])


def scores(answer: Answer) -> NDArray[np.float32]:
    """The numbers of a CSV answer."""
    assert answer.status == 200, answer.body
    lines = answer.body.decode().splitlines()
    return np.array([np.float32(line) for line in lines])


@pytest.fixture(scope="session")
def stump_model(make_model: MakeModel) -> Path:
    return make_model({"model.json": raw(stump(), "json")})


@pytest.fixture
def server(place: Place, stump_model: Path) -> Server:
    return place.serve(stump_model)


class TestRequests:
    def test_an_empty_body_is_a_204(self, server: Server) -> None:
        assert server.ask(post(b"", content_type=CSV)) == Answer(204, {}, b"")

    @pytest.mark.parametrize(
        "content_type",
        [
            *("csv", "text/csv", "Text/CSV", "text/csv; label_size=1"),
            *("text/csv;label_size = 1", "text/csv; charset=utf-8; label_size=1"),
        ],
    )
    def test_csv_has_these_names_and_parameters(self, server: Server, content_type: str) -> None:
        assert ask(server, content_type=content_type).body == ANSWER

    def test_a_label_size_other_than_one_is_a_415(self, server: Server) -> None:
        assert refused(ask(server, content_type="text/csv; label_size=2"))[0] == 415

    @pytest.mark.parametrize("content_type", ["libsvm", "text/libsvm", "text/x-libsvm", ""])
    def test_libsvm_has_these_names_and_is_the_default(
        self, server: Server, content_type: str
    ) -> None:
        assert ask(server, b"0 1:0 2:5\n0 1:2 2:5\n", content_type).body == ANSWER

    @pytest.mark.parametrize("content_type", ["recordio-protobuf", RECORDIO])
    def test_recordio_protobuf_has_these_names(self, server: Server, content_type: str) -> None:
        body = row([0, 5], "f4") + row([2, 5], "f4")
        assert ask(server, body, content_type).body == ANSWER

    @pytest.mark.parametrize(
        "content_type", ["application/x-parquet", "parquet", "image/png", "text/plain"]
    )
    def test_other_types_are_a_415_that_names_those_that_are_read(
        self, server: Server, content_type: str
    ) -> None:
        status, message = refused(ask(server, content_type=content_type))
        assert status == 415
        assert message.startswith(f"{content_type} is not an accepted Content-Type")
        assert all(name in message for name in (CSV, LIBSVM, RECORDIO))

    @pytest.mark.parametrize(
        ("name", "content_type", "body"),
        [
            ("csv", CSV, b"1,many"),
            ("libsvm", LIBSVM, b"0 one:1"),
            ("recordio-protobuf", RECORDIO, b"no recordio"),
        ],
    )
    def test_what_cannot_be_parsed_is_a_415_in_the_containers_words(
        self, server: Server, name: str, content_type: str, body: bytes
    ) -> None:
        status, message = refused(ask(server, body, content_type))
        assert status == 415
        assert message.startswith(
            f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n"
        )

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
    def test_the_delimiter_of_csv_is_found_out(self, server: Server, delimiter: str) -> None:
        assert ask(server, TWO_ROWS.replace(b",", delimiter.encode())).body == ANSWER

    def test_csv_is_stripped_and_an_empty_cell_is_missing(self, server: Server) -> None:
        assert ask(server, b"\n0,5\n2,5\n\n").body == ANSWER
        assert ask(server, b",5\n0,").body == b"3.0\n1.0\n"

    def test_libsvm_counts_from_one_unless_it_has_a_zero(self, server: Server) -> None:
        assert ask(server, b"0 1:0 2:5\n0 1:2", LIBSVM).body == ANSWER
        assert ask(server, b"0 0:0 1:5\n0 0:2", LIBSVM).body == ANSWER

    @pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
    def test_recordio_has_tensors_of_these_types_dense_and_sparse(
        self, server: Server, dtype: str
    ) -> None:
        dense = row([0, 5], dtype) + row([2, 5], dtype)
        assert ask(server, dense, RECORDIO).body == ANSWER
        sparse = row([0], dtype, keys=(0,), width=2) + row([2, 5], dtype, keys=(0, 1), width=2)
        assert ask(server, sparse, RECORDIO).body == ANSWER

    def test_what_does_not_fit_the_model_is_a_400_in_the_containers_words(
        self, server: Server
    ) -> None:
        for body, content_type in (
            (b"1,2,3", CSV),
            (b"0 1:1 2:1 3:1 4:1", LIBSVM),
            (row([1, 2, 3], "f4"), RECORDIO),
        ):
            status, message = refused(ask(server, body, content_type))
            assert status == 400
            assert message.startswith("Unable to evaluate payload provided: ")
            assert "2 features" in message

    def test_a_model_that_cannot_be_loaded_is_a_server_error_with_the_reason(
        self, place: Place, make_model: MakeModel
    ) -> None:
        server = place.serve(make_model({"xgboost-model": raw(stump())[:-100]}))
        for answer in (server.ask(get("/ping")), ask(server)):
            status, message = refused(answer)
            assert status >= 500
            assert "The model failed to load: xgboost-model is damaged" in message


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


def selected(objective: str, score: Any) -> dict[str, Any]:
    """What each key is, for what the library predicts of a row."""
    family, _, name = objective.partition(":")
    if family == "reg":
        return {"predicted_score": score}
    found = {
        "labels": [0, 1] if family == "binary" else list(range(CLASSES)),
        "raw_score": max(score) if name == "softprob" else score,
        "raw_scores": score if name == "softprob" else [1.0 - score, score],
    }
    if name == "softprob":
        found["predicted_label"] = score.index(max(score))
    elif name == "logistic":
        found["predicted_label"] = int(score > 0.5)
    elif name == "logitraw":
        found["predicted_label"] = int(score > 0)
    else:
        found["predicted_label"] = score
    if name in ("softprob", "logistic"):
        found["probability"], found["probabilities"] = found["raw_score"], found["raw_scores"]
    return found


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
