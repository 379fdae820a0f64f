"""Small networks whose answers are known, in the formats of PyTorch and ONNX."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper


class Affine(torch.nn.Module):
    """Answers ``factor * x + 1``; while it trains, mostly 0."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))
        self.drop = torch.nn.Dropout(0.999)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.drop(x * self.factor + 1)
        return answer


class Observer(torch.nn.Module):
    """Tells what it was given, and how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "bytes": torch.full_like(x, x.element_size()),
            "fractions": torch.full_like(x, float(x.is_floating_point())),
            "gradient": torch.full_like(x, float((x * self.weight).requires_grad)),
        }


def scripted(module: torch.nn.Module) -> bytes:
    """The module as TorchScript."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript itself
        torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def saved(value: Any) -> bytes:
    """What ``torch.save`` makes of it."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def sums() -> bytes:
    """Takes a and b of two columns; gives their sum and their product."""
    pair = [("a", TensorProto.FLOAT, ["rows", 2]), ("b", TensorProto.FLOAT, ["rows", 2])]
    results = [("sum", *pair[0][1:]), ("product", *pair[0][1:])]
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Mul", ["a", "b"], ["product"]),
    ]
    return _model(nodes, pair, results)


def mixed() -> bytes:
    """Takes a float16, an int64 and a text, and gives them back."""
    kinds = {"half": TensorProto.FLOAT16, "count": TensorProto.INT64, "word": TensorProto.STRING}
    inputs = [(name, kind, ["rows", 1]) for name, kind in kinds.items()]
    outputs = [(f"same_{name}", kind, shape) for name, kind, shape in inputs]
    nodes = [helper.make_node("Identity", [name], [f"same_{name}"]) for name in kinds]
    return _model(nodes, inputs, outputs)


def linear(rows: int | str) -> bytes:
    """Multiplies two columns by 1 and by 10 and adds them; takes so many rows at once."""
    inputs, outputs = [("x", TensorProto.FLOAT, [rows, 2])], [("y", TensorProto.FLOAT, [rows, 1])]
    weights = numpy_helper.from_array(np.array([[1], [10]], np.float32), "w")
    return _model([helper.make_node("MatMul", ["x", "w"], ["y"])], inputs, outputs, weights)


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[tuple[str, int, list[Any]]],
    outputs: Sequence[tuple[str, int, list[Any]]],
    *constants: onnx.TensorProto,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*spec) for spec in inputs],
        [helper.make_tensor_value_info(*spec) for spec in outputs],
        constants,
    )
    opsets = [helper.make_opsetid("", 17)]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made
