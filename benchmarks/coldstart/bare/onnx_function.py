"""A function that imports ONNX Runtime, loads a model and answers CSV: the least there can be."""

from typing import Any

import numpy as np
import onnxruntime

SESSION = onnxruntime.InferenceSession("/opt/ml/model/model.onnx")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an event of API Gateway's first format."""
    rows = np.array([line.split(",") for line in event["body"].split()], np.float32)
    labels = SESSION.run(None, {SESSION.get_inputs()[0].name: rows})[0]
    return {"statusCode": 200, "body": "".join(f"{label}\n" for label in labels)}
