"""ONNX models: recognised, loaded, called, and what they refuse."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serving.engines import onnx as engine
from serving.errors import BadRequest, DecodeError, ModelLoadError, PredictionError
from serving.model import Model
from serving.settings import Settings
from serving.stacking import split, stack
from serving.values import Payload, Request

Spec = tuple[str, int, list[Any] | None]
ONE_THREAD = Settings(threads=1, workers=2)


def write(
    path: Path,
    inputs: Sequence[Spec],
    outputs: Sequence[Spec],
    nodes: Sequence[Any],
    **constants: Any,
) -> Path:
    initializers = [onnx.numpy_helper.from_array(v, name) for name, v in constants.items()]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*spec) for spec in inputs],
        [helper.make_tensor_value_info(*spec) for spec in outputs],
        initializers,
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3)


def linear(path: Path, batch: int | str = "N") -> Path:
    return write(
        path,
        [("x", TensorProto.FLOAT, [batch, 4])],
        [("y", TensorProto.FLOAT, [batch, 3])],
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        w=WEIGHTS,
    )


def load(path: Path, settings: Settings = ONE_THREAD) -> Model:
    return engine.load(engine.files(path.parent), settings)


def ask(
    model: Model,
    body: str | bytes,
    content_type: str = "application/json",
    accept: str = "application/json",
) -> Any:
    raw = body.encode() if isinstance(body, str) else body
    request = Request("POST", "/invocations", {"content-type": content_type}, raw)
    prediction = model.predict(model.decode(request))
    response = model.encode(prediction, accept, request)
    assert response.status == 200
    assert isinstance(response.body, bytes)
    return json.loads(response.body) if accept == "application/json" else response.body


def test_model_onnx_is_preferred(tmp_path: Path) -> None:
    linear(tmp_path / "model.onnx")
    linear(tmp_path / "a.onnx")
    assert engine.files(tmp_path) == [tmp_path / "model.onnx"]


def test_the_only_file_may_have_any_name(tmp_path: Path) -> None:
    linear(tmp_path / "a.onnx")
    assert ask(load(tmp_path / "a.onnx"), "[[1, 0, 0, 0]]") == [[0, 1, 2]]


def test_several_files_are_refused_by_name(tmp_path: Path) -> None:
    linear(tmp_path / "a.onnx")
    linear(tmp_path / "b.onnx")
    with pytest.raises(ModelLoadError, match=r"a\.onnx, b\.onnx.*model\.onnx"):
        load(tmp_path / "a.onnx")


def test_a_directory_without_onnx_files_is_not_this_engines(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    assert engine.files(tmp_path) == []


def test_inputs_and_outputs_are_those_the_file_names(tmp_path: Path) -> None:
    model = load(linear(tmp_path / "model.onnx"))
    assert model.inputs == (("x", "float32", (None, 4)),)
    assert model.outputs == (("y", "float32", (None, 3)),)
    assert model.devices == ("cpu",)


def test_answers_are_the_runtimes_own(tmp_path: Path) -> None:
    path = linear(tmp_path / "model.onnx")
    rows = np.random.default_rng(1).random((5, 4)).astype(np.float32)
    expected = onnxruntime.InferenceSession(path).run(None, {"x": rows})[0]
    answer = np.array(ask(load(path), json.dumps(rows.tolist())), np.float32)
    assert answer.tobytes() == expected.tobytes()


def test_independent_rows_are_stacked(tmp_path: Path) -> None:
    model = load(linear(tmp_path / "model.onnx"))
    payloads = [
        model.decode(Request("POST", "/invocations", {}, body))
        for body in (b"[[1, 0, 0, 0]]", b"[[0, 1, 0, 0], [0, 0, 1, 0]]")
    ]
    assert payloads[0].merge_key == payloads[1].merge_key == model.merge_key
    one, two = split(model.predict(stack(payloads)), [1, 2])
    assert one.outputs["y"].tolist() == WEIGHTS[:1].tolist()
    assert two.outputs["y"].tolist() == WEIGHTS[1:3].tolist()


def test_rows_that_depend_on_each_other_are_not_stacked(tmp_path: Path) -> None:
    path = write(
        tmp_path / "model.onnx",
        [("x", TensorProto.FLOAT, ["N", 4])],
        [("y", TensorProto.FLOAT, ["N", 4])],
        [helper.make_node("Softmax", ["x"], ["y"], axis=0)],
    )
    model = load(path)
    assert model.merge_key is None
    assert ask(model, "[[0, 0, 0, 0], [0, 0, 0, 0]]") == [[0.5] * 4] * 2


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_fixed_batch_takes_any_number_of_rows(tmp_path: Path, batch: int, count: int) -> None:
    model = load(linear(tmp_path / "model.onnx", batch))
    rows = np.random.default_rng(1).random((count, 4)).astype(np.float32)
    assert model.inputs[0].shape == (None, 4)
    assert model.merge_key is not None
    assert np.allclose(ask(model, json.dumps(rows.tolist())), rows @ WEIGHTS)


def test_a_fixed_first_axis_that_is_no_batch_keeps_its_length(tmp_path: Path) -> None:
    path = write(
        tmp_path / "model.onnx",
        [("x", TensorProto.FLOAT, [3, 3])],
        [("y", TensorProto.FLOAT, [3, 3])],
        [helper.make_node("Softmax", ["x"], ["y"], axis=0)],
    )
    model = load(path)
    assert ask(model, json.dumps([[0.0] * 3] * 3)) == [[pytest.approx(1 / 3)] * 3] * 3
    with pytest.raises(DecodeError, match=r"shape \(3, 3\); the body has shape \(2, 3\)"):
        ask(model, json.dumps([[0.0] * 3] * 2))


def identity(path: Path, kind: int, shape: list[Any] | None) -> Path:
    return write(
        path, [("x", kind, shape)], [("y", kind, shape)], [helper.make_node("Identity", "x", "y")]
    )


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (TensorProto.FLOAT16, [[0.5], [1.5]]),
        (TensorProto.DOUBLE, [[0.1], [1e300]]),
        (TensorProto.INT64, [[9007199254740993], [-1]]),
        (TensorProto.INT8, [[-128], [127]]),
        (TensorProto.UINT64, [[18446744073709551615], [0]]),
        (TensorProto.BOOL, [[True], [False]]),
        (TensorProto.STRING, [["a"], ["ü"]]),
    ],
)
def test_every_type_passes_unchanged(tmp_path: Path, kind: int, rows: list[Any]) -> None:
    model = load(identity(tmp_path / "model.onnx", kind, ["N", 1]))
    assert ask(model, json.dumps(rows)) == rows


def test_text_in_csv(tmp_path: Path) -> None:
    model = load(identity(tmp_path / "model.onnx", TensorProto.STRING, ["N", 2]))
    assert ask(model, 'a,"b,c"\nd,e\n', "text/csv") == [["a", "b,c"], ["d", "e"]]


def test_a_free_axis_takes_any_length_and_stacks_equal_ones(tmp_path: Path) -> None:
    model = load(identity(tmp_path / "model.onnx", TensorProto.INT64, ["N", "tokens"]))
    assert model.inputs[0].shape == (None, None)
    assert ask(model, "[[1, 2, 3]]") == [[1, 2, 3]]

    def key(body: bytes) -> Any:
        return model.decode(Request("POST", "/invocations", {}, body)).merge_key

    assert key(b"[[1, 2]]") == key(b"[[3, 4]]") != key(b"[[1, 2, 3]]")


def test_an_unknown_number_of_axes_takes_anything(tmp_path: Path) -> None:
    model = load(identity(tmp_path / "model.onnx", TensorProto.FLOAT, None))
    assert model.sample is None
    assert ask(model, "[[[1, 2]]]") == [[[1, 2]]]


def test_several_inputs_and_outputs_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path / "model.onnx",
        [("a", TensorProto.FLOAT, ["N", 2]), ("b", TensorProto.FLOAT, ["N", 2])],
        [("sum", TensorProto.FLOAT, ["N", 2]), ("product", TensorProto.FLOAT, ["N", 2])],
        [
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Mul", ["a", "b"], ["product"]),
        ],
    )
    model = load(path)
    expected = {"sum": [[4, 6]], "product": [[3, 8]]}
    assert ask(model, '{"inputs": {"a": [[1, 2]], "b": [[3, 4]]}}') == expected
    assert ask(model, '{"instances": [{"a": [1, 2], "b": [3, 4]}]}') == expected
    assert ask(model, "1,2,3,4", "text/csv") == expected
    assert ask(model, "1,2,3,4", "text/csv", "text/csv") == b"4.0,6.0,3.0,8.0\n"
    assert "application/x-npy" not in model.writes


@pytest.fixture(scope="module")
def classifier() -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    features = generator.random((60, 4)).astype(np.float32)
    labels = np.array(["ant", "bee", "cat"])[generator.integers(0, 3, 60)]
    return LogisticRegression().fit(features, labels), features


@pytest.mark.parametrize("zipmap", [True, False])
def test_a_scikit_learn_classifier(
    tmp_path: Path, classifier: tuple[Any, Any], zipmap: bool
) -> None:
    fitted, features = classifier
    exported = to_onnx(fitted, features[:1], options={id(fitted): {"zipmap": zipmap}})
    (tmp_path / "model.onnx").write_bytes(exported.SerializeToString())
    model = load(tmp_path / "model.onnx")
    answer = ask(model, json.dumps(features[:5].tolist()))
    probabilities = fitted.predict_proba(features[:5])
    if zipmap:
        names = [f"output_probability.{name}" for name in ("ant", "bee", "cat")]
        assert [tensor.name for tensor in model.outputs] == ["output_label", *names]
        assert answer["output_label"] == fitted.predict(features[:5]).tolist()
        assert np.allclose([answer[name] for name in names], probabilities.T, atol=1e-5)
    else:
        assert answer["label"] == fitted.predict(features[:5]).tolist()
        assert np.allclose(answer["probabilities"], probabilities, atol=1e-5)
    assert model.merge_key is not None


def test_a_pipeline_of_columns_of_several_types(tmp_path: Path) -> None:
    rows = np.array([["a", 1.0, 3], ["b", 2.0, 4], ["a", 0.5, 5], ["b", 4.0, 6]], dtype=object)
    labels = [0, 1, 0, 1]
    pipeline = make_pipeline(
        ColumnTransformer(
            [("town", OneHotEncoder(handle_unknown="ignore"), [0]), ("n", "passthrough", [1, 2])]
        ),
        LogisticRegression(),
    ).fit(rows, labels)
    exported = to_onnx(
        pipeline,
        initial_types=[
            ("town", StringTensorType([None, 1])),
            ("size", FloatTensorType([None, 1])),
            ("count", Int64TensorType([None, 1])),
        ],
        options={"zipmap": False},
    )
    (tmp_path / "model.onnx").write_bytes(exported.SerializeToString())
    model = load(tmp_path / "model.onnx")
    body = "a,1.0,3\nb,4.0,6\n"
    assert ask(model, body, "text/csv")["label"] == pipeline.predict(rows[[0, 3]]).tolist()
    named = '{"instances": [{"town": "a", "size": 1.0, "count": 3}]}'
    assert ask(model, named)["label"] == [0]


def test_a_value_the_model_refuses_is_the_clients_fault(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path / "model.onnx",
        [("x", TensorProto.INT64, ["N"])],
        [("y", TensorProto.FLOAT, ["N", 3])],
        [helper.make_node("Gather", ["w", "x"], ["y"])],
        w=WEIGHTS,
    )
    model = load(path)
    with pytest.raises(BadRequest, match=r"refuses the input: .*idx=7.*\[-4,3\]"):
        ask(model, "[7]")
    assert capfd.readouterr().err == ""
    assert ask(model, "[1]") == [WEIGHTS[1].tolist()]


def test_a_failing_model_is_not_the_clients_fault(tmp_path: Path) -> None:
    path = write(
        tmp_path / "model.onnx",
        [("x", TensorProto.FLOAT, ["N", "M"])],
        [("y", TensorProto.FLOAT, None)],
        [helper.make_node("Add", ["x", "w"], ["y"])],
        w=WEIGHTS,
    )
    with pytest.raises(PredictionError, match=r"model failed.*broadcast"):
        ask(load(path), "[[1, 2]]")


@pytest.mark.parametrize("content", [b"", b"garbage" * 20])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"^model\.onnx does not load: (No graph|Protobuf).*$"):
        load(path)


def test_a_file_cut_in_half_is_refused(tmp_path: Path) -> None:
    path = linear(tmp_path / "model.onnx")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelLoadError, match=r"does not load"):
        load(path)


def test_a_type_numpy_does_not_have_is_refused(tmp_path: Path) -> None:
    path = identity(tmp_path / "model.onnx", TensorProto.BFLOAT16, ["N", 2])
    with pytest.raises(ModelLoadError, match=r"'x' of type tensor\(bfloat16\)"):
        load(path)


def test_a_sequence_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("SequenceConstruct", ["x"], ["y"])
    value = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])], [value]
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "model.onnx")
    with pytest.raises(ModelLoadError, match=r"'y' of type seq\(tensor\(float\)\)"):
        load(tmp_path / "model.onnx")


def test_scripts_see_the_session_and_plain_arrays(tmp_path: Path) -> None:
    native = load(linear(tmp_path / "model.onnx")).native
    assert native is not None
    assert isinstance(native.model(), onnxruntime.InferenceSession)
    row = np.ones((1, 4))
    payload: Payload = native.payload(row)
    assert payload.data["x"].dtype == np.float32
    assert native.argument(payload.data) is payload.data["x"]
    assert native.payload({"x": row}).rows == 1
