"""The models that are overloaded: what each costs, and what it is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xgboost as xgb

FEATURES = 30
TREES = 800
ASKED_ROWS = 96
TRAINING_ROWS = 1000
SEED = 2

SLOW = """
import time

def model_fn(model_dir):
    return None

def predict_fn(data, model):
    time.sleep(0.005)
    return data
"""

STACKING = """
import time

stack_rows = True

def model_fn(model_dir):
    return None

def predict_fn(data, model):
    time.sleep(0.010 + 0.0005 * len(data))
    return data
"""


class Scenario(NamedTuple):
    """A model and a request to it."""

    name: str
    about: str
    make: Callable[[Path], None]
    """Writes the model into a directory."""
    body: bytes


def request(body: bytes) -> bytes:
    """The bytes of an invocation with a CSV body."""
    head = (
        f"POST /invocations HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/csv\r\n"
        f"accept: text/csv\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _script(text: str) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        (directory / "code").mkdir()
        (directory / "code" / "inference.py").write_text(text)

    return make


def _booster(directory: Path) -> None:
    generator = np.random.default_rng(SEED)
    features = generator.normal(size=(TRAINING_ROWS, FEATURES)).astype(np.float32)
    labels = (features[:, 0] + features[:, 1] * features[:, 2] > 0).astype(np.float32)
    parameters = {
        "objective": "binary:logistic",
        "max_depth": 6,
        "seed": SEED,
    }
    trained = xgb.train(parameters, xgb.DMatrix(features, labels), num_boost_round=TREES)
    trained.save_model(directory / "model.ubj")


def _rows(count: int) -> bytes:
    rows = np.random.default_rng(SEED).normal(size=(count, FEATURES)).astype(np.float32)
    return "\n".join(",".join(map(str, row)) for row in rows).encode()


SCENARIOS = (
    Scenario("script", "a script, 5 ms a request", _script(SLOW), b"1,2,3"),
    Scenario(
        "stacking", "a script that stacks, 10 ms and 0.5 ms a row", _script(STACKING), b"1,2,3"
    ),
    Scenario(
        "xgboost",
        f"XGBoost on the event loop, {TREES} trees, {ASKED_ROWS} rows a request",
        _booster,
        _rows(ASKED_ROWS),
    ),
)
