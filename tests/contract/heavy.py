"""Models that take memory, each as the files of a model directory."""

import json

import numpy as np
import onnx
import torch
import xgboost
from onnx import TensorProto, helper, numpy_helper

from tests.contract.conftest import Files
from tests.contract.networks import scripted
from tests.support import Answer

MIB = 1024 * 1024
ROW = b"0\n"
"""What each can be asked, as CSV."""


def value(answer: Answer) -> float:
    """What a network of these has answered to the row."""
    assert answer.status == 200, answer.body
    ((number,),) = json.loads(answer.body)
    return float(number)


class Table(torch.nn.Module):
    """Looks numbers up among values that are all the same, and may each be asked for."""

    def __init__(self, value: float, mebibytes: int) -> None:
        super().__init__()
        self.values = torch.nn.Parameter(torch.full((mebibytes * MIB // 4,), float(value)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values[x.long()]


def torch_table(value: float, mebibytes: int) -> Files:
    """A network of PyTorch that takes so much memory, and answers the value."""
    return {"model.pt": scripted(Table(value, mebibytes))}


def onnx_table(value: float, mebibytes: int) -> Files:
    """A network of ONNX that takes so much memory, and answers the value."""
    values = np.full(mebibytes * MIB // 4, value, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["values", "index"], ["y"]),
        ],
        "table",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(values, "values")],
    )
    opsets = [helper.make_opsetid("", 17)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return {"model.onnx": model.SerializeToString()}


def forest() -> Files:
    """A booster that takes about a mebibyte; what it answers means nothing."""
    numbers = np.random.default_rng(3).random((4096, 2)).astype(np.float32)
    matrix = xgboost.DMatrix(numbers[:, :1], numbers[:, 1])
    parameters = {"max_depth": 0, "max_leaves": 256, "grow_policy": "lossguide", "nthread": 1}
    booster = xgboost.train(parameters, matrix, 150)
    return {"xgboost-model": bytes(booster.save_raw("ubj"))}
