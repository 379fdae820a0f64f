"""The model that is served, the rows that are asked for and the answers the library gives."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xgboost as xgb

FEATURES = 30
TREES = 100
DEPTH = 6
SEED = 2
TRAINING_ROWS = 20_000
ASKED_ROWS = 64


class Workload(NamedTuple):
    """What every target serves and is asked."""

    model: Path
    """Directory that holds ``model.ubj`` and nothing else."""
    rows: list[bytes]
    """Bodies of one CSV row each; the load consists of the first."""
    predictions: list[np.float32]
    """``Booster.inplace_predict`` of each row, from the saved model with one thread."""


def make(directory: Path, name: str = "model") -> Workload:
    """Train the model, save it in ``directory / name`` and predict the rows with the library."""
    random = np.random.default_rng(SEED)
    features = random.normal(size=(TRAINING_ROWS, FEATURES)).astype(np.float32)
    signal = features[:, 0] + features[:, 1] * features[:, 2] + np.sin(3 * features[:, 3])
    labels = (signal + random.normal(size=TRAINING_ROWS) > 0).astype(np.float32)
    # On a busy machine several threads would wait for each other, for a minute in all.
    parameters = {"objective": "binary:logistic", "max_depth": DEPTH, "seed": SEED, "nthread": 1}
    trained = xgb.train(parameters, xgb.DMatrix(features, labels, nthread=1), num_boost_round=TREES)

    model = directory / name
    model.mkdir()
    trained.save_model(model / "model.ubj")

    asked = random.normal(size=(ASKED_ROWS, FEATURES)).astype(np.float32)
    # The shortest text that reads back as the same float32, so that no target loses a bit.
    rows = [",".join(map(str, row)).encode() for row in asked]
    saved = xgb.Booster({"nthread": 1}, model_file=model / "model.ubj")
    return Workload(model, rows, list(saved.inplace_predict(asked)))
