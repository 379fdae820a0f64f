"""Small ONNX models with weights."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES, HIDDEN, CLASSES = 16, 32, 4


def perceptron(*, softmax: bool = True) -> onnx.ModelProto:
    """Takes x of 16 columns; gives y, a score for each of four classes."""
    nodes = [
        helper.make_node("Gemm", ["x", "first", "bias"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["logits" if softmax else "y"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["y"]))
    weights = [
        weight("first", FEATURES, HIDDEN),
        weight("bias", HIDDEN),
        weight("second", HIDDEN, CLASSES),
    ]
    return model(nodes, ["rows", FEATURES], ["rows", CLASSES], weights)


def convolution() -> onnx.ModelProto:
    """Takes x, images of 3 x 8 x 8; gives y, a score for each of 16 channels."""
    nodes = [
        helper.make_node("Conv", ["x", "kernels"], ["channels"]),
        helper.make_node("GlobalAveragePool", ["channels"], ["means"]),
        helper.make_node("Flatten", ["means"], ["y"]),
    ]
    return model(nodes, ["rows", 3, 8, 8], ["rows", 16], [weight("kernels", 16, 3, 3, 3)])


def mean() -> onnx.ModelProto:
    """Gives y, the mean of all rows of x, so that rows depend on each other."""
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[0])
    return model([node], ["rows", FEATURES], [1, FEATURES], [])


def weight(name: str, *shape: int) -> onnx.TensorProto:
    generator = np.random.default_rng(len(name))
    return numpy_helper.from_array(generator.normal(size=shape).astype(np.float32), name)


def model(
    nodes: list[onnx.NodeProto], takes: list[Any], gives: list[Any], weights: list[onnx.TensorProto]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, takes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, gives)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rows(path: Path, count: int, *shape: int) -> Path:
    """Write a sample of so many rows."""
    table = np.random.default_rng(1).normal(size=(count, *shape)).astype(np.float32)
    np.save(path, table)
    return path
