"""The Open Inference Protocol, asked by an unmodified client: the answers of /invocations."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.contract.cases import JSON, post
from tests.contract.conftest import MakeModel
from tests.contract.files import write
from tests.contract.many import own_platform, own_repository
from tests.contract.networks import Affine, scripted, sums
from tests.contract.places import Place
from tests.models import SCRIPT, stump
from tests.support import Server

Array = NDArray[Any]

ROWS = np.array([[0, 5], [2, 5], [np.nan, 5]], np.float32)

KINDS = {
    "half": (TensorProto.FLOAT16, np.array([[0.5, -2.0]], np.float16)),
    "double": (TensorProto.DOUBLE, np.array([0.1])),
    "whole": (TensorProto.INT64, np.array([-(2**53) - 1])),
    "byte": (TensorProto.UINT8, np.array([255], np.uint8)),
    "flag": (TensorProto.BOOL, np.array([True])),
    "word": (TensorProto.STRING, np.array(["größe"], object)),
}
"""Types of ONNX, and a row of each."""


def echo() -> bytes:
    """Answers each of its inputs, of all types, as it is."""

    def declare(suffix: str) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(f"{name}{suffix}", kind, ["rows", *row.shape[1:]])
            for name, (kind, row) in KINDS.items()
        ]

    nodes = [helper.make_node("Identity", [name], [f"{name}_again"]) for name in KINDS]
    graph = helper.make_graph(nodes, "echo", declare(""), declare("_again"))
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    content: bytes = model.SerializeToString()
    return content


@contextmanager
def connected(server: Server) -> Iterator[Any]:
    """A client of the server."""
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    try:
        yield client
    finally:
        client.close()


def given(name: str, array: Array, *, binary: bool = True) -> Any:
    """An input."""
    made = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    return made.set_data_from_numpy(array, binary_data=binary)


def wanted(names: Sequence[str], *, binary: bool = True) -> list[Any]:
    """Outputs that the client asks for."""
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def refused(ask: Any, *arguments: Any, **options: Any) -> tuple[str, str]:
    """The status and the message of an error."""
    with pytest.raises(InferenceServerException) as caught:
        ask(*arguments, **options)
    return str(caught.value.status()), caught.value.message()


def body(content: bytes) -> Any:
    """A body for a script."""
    return given("body", np.array([content], object))


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_a_booster_answers_as_at_invocations(
    place: Place, models: dict[str, Path], binary: bool
) -> None:
    server = place.serve(models["stump"])
    text = "\n".join(f"{'' if np.isnan(first) else first},{second}" for first, second in ROWS)
    answer = json.loads(server.ask(post(text.encode(), "text/csv", JSON)).body)
    with connected(server) as client:
        rows = ROWS if binary else ROWS[:2]  # the client writes NaN as no JSON
        result = client.infer(
            "model",
            [given("features", rows, binary=binary)],
            outputs=wanted(["score"], binary=binary),
        )
    expected = [prediction["score"] for prediction in answer["predictions"]][: len(rows)]
    scores = result.as_numpy("score")
    assert (scores.dtype, scores.tolist()) == (np.float32, expected)


def test_the_server_and_its_model_tell_of_themselves(place: Place, models: dict[str, Path]) -> None:
    with connected(place.serve(models["classes"])) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("model")
        assert client.is_model_ready("model", "1")
        assert not client.is_model_ready("model", "2")
        assert not client.is_model_ready("churn")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        assert client.get_model_metadata("model", "1") == {
            "name": "model",
            "versions": ["1"],
            "platform": "xgboost",
            "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 2]}],
            "outputs": [{"name": "score", "datatype": "FP32", "shape": [-1, 4]}],
        }
        (listed,) = client.get_model_repository_index()
        assert (listed["name"], listed["state"]) == ("model", "READY")


def test_one_that_failed_to_load_lives_and_is_not_ready(
    place: Place, models: dict[str, Path]
) -> None:
    with connected(place.serve(models["broken"])) as client:
        assert client.is_server_live()
        assert not client.is_server_ready()
        assert not client.is_model_ready("model")
        status, message = refused(client.get_model_metadata, "model")
        assert (status, "failed to load" in message) == ("503", True)


def test_the_model_has_the_name_that_is_set(place: Place, models: dict[str, Path]) -> None:
    with connected(place.serve(models["stump"], SERVING_MODEL_NAME="churn")) as client:
        result = client.infer("churn", [given("features", ROWS)], request_id="a-1")
        assert result.get_response()["model_name"] == "churn"
        assert result.get_response()["id"] == "a-1"
        status, message = refused(client.infer, "model", [given("features", ROWS)])
        assert (status, message) == ("404", "There is no model 'model'; this server's is 'churn'.")


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_every_type_comes_back_as_it_went(
    place: Place, make_model: MakeModel, binary: bool
) -> None:
    server = place.serve(make_model({"model.onnx": echo()}))
    # The client writes no FP16 as JSON.
    inputs = [given(name, row, binary=binary or name == "half") for name, (_, row) in KINDS.items()]
    with connected(server) as client:
        result = client.infer(
            "model", inputs, outputs=wanted([f"{name}_again" for name in KINDS], binary=binary)
        )
    for name, (_, row) in KINDS.items():
        again = result.as_numpy(f"{name}_again")
        if name == "word":
            texts = [word.decode() if isinstance(word, bytes) else word for word in again.tolist()]
            assert texts == row.tolist()
        else:
            assert (again.dtype, again.tolist()) == (row.dtype, row.tolist())


def test_several_inputs_and_some_of_the_outputs(place: Place, make_model: MakeModel) -> None:
    server = place.serve(make_model({"model.onnx": sums()}))
    a, b = np.array([[1, 2], [3, 4]], np.float32), np.array([[5, 6], [7, 8]], np.float32)
    with connected(server) as client:
        about = client.get_model_metadata("model")
        assert about["platform"] == "onnxruntime_onnx"
        names = [output["name"] for output in about["outputs"]]
        both = client.infer("model", [given("b", b), given("a", a)])
        np.testing.assert_array_equal(both.as_numpy(names[0]), a + b)
        np.testing.assert_array_equal(both.as_numpy(names[1]), a * b)
        one = client.infer("model", [given("b", b), given("a", a)], outputs=wanted(names[1:]))
        assert [output["name"] for output in one.get_response()["outputs"]] == names[1:]


def test_torchscript_takes_tensors_of_the_type_that_is_sent(
    place: Place, make_model: MakeModel
) -> None:
    server = place.serve(make_model({"model.pt": scripted(Affine(2.0))}))
    with connected(server) as client:
        for dtype in (np.float32, np.float64):
            rows = np.array([[1, 2], [3, 4]], dtype)
            answer = client.infer("model", [given("x", rows)]).as_numpy("output_0")
            assert (answer.dtype, answer.tolist()) == (dtype, (rows * 2 + 1).tolist())
        assert client.get_model_metadata("model")["inputs"][0]["name"] == "x"


def test_a_script_gets_the_body_that_it_reads_itself(place: Place, models: dict[str, Path]) -> None:
    with connected(place.serve(models["script"])) as client:
        parameters = {"content_type": "text/x-numbers", "accept": "text/x-numbers"}
        result = client.infer("model", [body(b"2 3")], parameters=parameters)
        assert result.as_numpy("body").tolist() == [b"6 9"]
        status, message = refused(client.infer, "model", [given("x", ROWS)])
        assert (status, "BYTES of shape [1]" in message) == ("400", True)


def test_what_is_wrong_is_told_with_what_would_be_right(
    place: Place, models: dict[str, Path]
) -> None:
    narrow, rows = np.zeros((1, 1), np.float32), given("features", ROWS)
    words = np.array([["a", "b"]], object)
    with connected(place.serve(models["stump"])) as client:
        told = [
            refused(client.infer, "model", [given("features", narrow)]),
            refused(client.infer, "model", [given("features", words)]),
            refused(client.infer, "model", [given("rows", ROWS)]),
            refused(client.infer, "model", [rows], outputs=wanted(["label"])),
            refused(client.infer, "model", [rows], model_version="7"),
            refused(client.infer, "model", [rows], request_compression_algorithm="gzip"),
            refused(client.get_model_config, "model"),
        ]
    expected = [
        ("400", "takes float32 of shape (rows, 2); the body has shape (1, 1)"),
        ("400", "text where input 'features' takes float32"),
        ("400", "names rows; the model takes features: float32 of shape (rows, 2)"),
        ("400", "no output 'label'; it has score"),
        ("404", "version 1 only"),
        ("415", "gzip"),
        ("404", "'model/config'"),
    ]
    for (status, message), (right, part) in zip(told, expected, strict=True):
        assert (status, part in message) == (right, True), message
        assert "Traceback" not in message


def test_a_body_beyond_the_limit_is_refused_as_the_protocol_has_it(
    place: Place, models: dict[str, Path]
) -> None:
    server = place.serve(models["stump"], SAGEMAKER_MAX_PAYLOAD_IN_MB="1")
    rows = np.zeros((2**18, 2), np.float32)
    with connected(server) as client:
        status, message = refused(client.infer, "model", [given("features", rows)])
    assert (status, "SAGEMAKER_MAX_PAYLOAD_IN_MB" in message) == ("413", True)


def test_registered_models_are_asked_by_their_names(
    place: Place, tmp_path: Path, models: dict[str, Path]
) -> None:
    for name, folder in (("trees", "stump"), ("times/three", "script")):
        for file in models[folder].rglob("*.*"):
            relative = str(file.relative_to(models[folder]))
            write(tmp_path / name / "model", {relative: file.read_bytes()})
    with own_platform(place, tmp_path) as many, connected(many.server) as client:
        assert refused(client.infer, "trees", [given("features", ROWS)])[0] == "404"
        many.loads("trees")
        many.loads("times/three")
        assert client.is_model_ready("times/three")
        assert {model["name"] for model in client.get_model_repository_index()} == {
            "trees",
            "times/three",
        }
        result = client.infer("trees", [given("features", ROWS)])
        assert result.as_numpy("score").tolist() == [1, 3, 3]
        # This model is in a process of its own.
        parameters = {"content_type": "text/x-numbers"}
        result = client.infer("times/three", [body(b"2")], parameters=parameters)
        assert result.get_response()["model_name"] == "times/three"
        assert result.as_numpy("body").tolist() == [b"[6]"]
        assert client.get_model_metadata("times/three")["inputs"][0]["name"] == "body"
        status, message = refused(client.infer, "times/three", [body(b"x")], parameters=parameters)
        assert (status, message.startswith("input_fn failed")) == ("500", True)


def test_a_model_of_a_repository_is_loaded_when_it_is_asked(place: Place, tmp_path: Path) -> None:
    write(tmp_path / "team/trees", {"model.json": bytes(stump().save_raw("json"))})
    write(tmp_path / "three", {"code/inference.py": SCRIPT})
    with own_repository(place, tmp_path) as many, connected(many.server) as client:
        assert client.is_server_ready()
        assert not client.is_model_ready("team/trees")
        assert client.get_model_metadata("team/trees")["platform"] == "xgboost"
        assert client.is_model_ready("team/trees")
        assert not client.is_model_ready("three")
        assert client.get_model_metadata("three", "1")["outputs"][0]["datatype"] == "BYTES"
        assert refused(client.get_model_metadata, "nothing")[0] == "404"
        assert refused(client.infer, "team/trees", [given("x", ROWS)])[0] == "400"
