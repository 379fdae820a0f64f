"""A function that imports XGBoost, loads a model and answers CSV: the least there can be."""

from pathlib import Path
from typing import Any

import numpy as np
import xgboost

BOOSTER = xgboost.Booster()
BOOSTER.load_model(bytearray(Path("/opt/ml/model/xgboost-model").read_bytes()))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer an event of API Gateway's first format."""
    rows = np.array([line.split(",") for line in event["body"].split()], np.float32)
    scores = BOOSTER.inplace_predict(rows)
    return {"statusCode": 200, "body": "".join(f"{score}\n" for score in scores)}
