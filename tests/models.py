"""Small models whose answers are known."""

import numpy as np
import onnx
import xgboost
from onnx import TensorProto, helper


def stump() -> xgboost.Booster:
    """Answers 1 where the first of two features is below 1, and 3 where it is not or missing."""
    rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [np.nan, 0], [np.nan, 1]], np.float32)
    parameters = {"base_score": 0, "eta": 1, "lambda": 0, "max_depth": 1, "nthread": 1}
    return xgboost.train(parameters, xgboost.DMatrix(rows, [1, 1, 3, 3, 3, 3]), 1)


def classes() -> xgboost.Booster:
    """Finds each of four classes equally likely."""
    matrix = xgboost.DMatrix(np.zeros((4, 2), np.float32), [0, 1, 2, 3])
    parameters = {"objective": "multi:softprob", "num_class": 4, "base_score": 0.5, "nthread": 1}
    return xgboost.train(parameters, matrix, 0)


def doubling() -> onnx.ModelProto:
    """Takes x of two columns; gives doubled, of two, and total, of none."""
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["doubled"]),
            helper.make_node("ReduceSum", ["x", "axis"], ["total"], keepdims=0),
        ],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])],
        [
            helper.make_tensor_value_info("doubled", TensorProto.FLOAT, ["rows", 2]),
            helper.make_tensor_value_info("total", TensorProto.FLOAT, ["rows"]),
        ],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


SCRIPT = """
import json

class WrongType(Exception):
    status_code = 415

def model_fn(model_dir):
    return 3

def input_fn(body, content_type):
    if content_type != "text/x-numbers":
        raise WrongType("Send numbers.")
    return [int(word) for word in body.split()]

def predict_fn(numbers, factor):
    return [number * factor for number in numbers]

def output_fn(numbers, accept, context):
    name = "X-Amzn-SageMaker-Custom-Attributes"
    attributes = context.get_request_header(0, name)
    if attributes:
        context.set_response_header(0, name, attributes)
    if accept == "text/event-stream":
        return (f"data: {number}\\n\\n" for number in numbers)
    if accept == "text/x-numbers":
        return " ".join(map(str, numbers))
    return json.dumps(numbers), "application/json"
"""
"""Multiplies whole numbers by three."""
