"""What every peer serves and is asked: two models, and three kinds of requests."""

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.throughput import workload

COLUMNS = (256, 512, 512, 10)
"""Values that come in, those of two hidden layers, and those that go out."""
ASKED_ROWS = 8
SEED = 7
OPSET, IR_VERSION = 17, 8
"""Such as the oldest runtime of a peer reads."""

Array = npt.NDArray[np.float32]


class Workload(NamedTuple):
    """A model, and a kind of request for it."""

    model: str
    """The name of its folder."""
    about: str
    weight: float
    """Its share of the mixed load, beside the others'."""


class Question(NamedTuple):
    """Rows and what the library answers to each."""

    rows: Array
    """Shape (rows, features); the load consists of the first."""
    expected: Array
    """Shape (rows, outputs)."""


WORKLOADS = {
    "xgboost": Workload("xgboost", "XGBoost, one row of 30 values as CSV", 2.0),
    "mlp-json": Workload("mlp", "ONNX MLP, 256 values as JSON", 1.0),
    "mlp-binary": Workload("mlp", "ONNX MLP, 256 values in binary", 1.0),
}
MODELS = tuple(dict.fromkeys(each.model for each in WORKLOADS.values()))


def make(directory: Path) -> dict[str, Question]:
    """Write ``xgboost/model.ubj`` and ``mlp/model.onnx``; questions by the model's name."""
    boosted = workload.make(directory, "xgboost")
    rows = np.array([row.split(b",") for row in boosted.rows], np.float32)
    predictions = np.array(boosted.predictions, np.float32).reshape(-1, 1)
    return {
        "xgboost": Question(rows[:ASKED_ROWS], predictions[:ASKED_ROWS]),
        "mlp": _network(directory / "mlp"),
    }


def _network(folder: Path) -> Question:
    """A classifier of two hidden layers with random weights."""
    chance = np.random.default_rng(SEED)
    nodes, weights, value = [], [], "input"
    pairs = list(itertools.pairwise(COLUMNS))
    for number, (wide, high) in enumerate(pairs):
        matrix = chance.normal(0, (2 / wide) ** 0.5, (wide, high)).astype(np.float32)
        offset = chance.normal(0, 0.1, high).astype(np.float32)
        weights += [numpy_helper.from_array(matrix, f"w{number}")]
        weights += [numpy_helper.from_array(offset, f"b{number}")]
        last = number == len(pairs) - 1
        outputs = ("logits", "probabilities") if last else (f"z{number}", f"a{number}")
        nodes += [helper.make_node("Gemm", [value, f"w{number}", f"b{number}"], [outputs[0]])]
        nodes += [helper.make_node("Softmax" if last else "Relu", [outputs[0]], [outputs[1]])]
        value = outputs[1]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", COLUMNS[0]])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", COLUMNS[-1]])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")

    rows = chance.normal(size=(ASKED_ROWS, COLUMNS[0])).astype(np.float32)
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    return Question(rows, session.run(None, {"input": rows})[0])
