"""The models of the soak: good ones, of which no two answer alike, and ones with a fault each."""

import json
import tarfile
from collections.abc import Callable
from enum import Enum
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
import onnx
import xgboost
from onnx import TensorProto, helper, numpy_helper

ROW = b"0.5,0.25,0.75,1\n"
"""What a model without a script is asked."""

TREES, DEPTH = 60, 6
VALUES = 64 * 1024
"""Float32 numbers in a network."""
STEP = 1000
"""By which what a model answers grows with its version."""

SCRIPT = """
import os

import helper


def model_fn(model_dir):
    return helper.NUMBER


def transform_fn(number, data, content_type, accept):
    if data == b"exit":
        os._exit(7)
    if data == b"fail":
        raise ValueError("as it was told to")
    return f"{number}\\n"
"""

FAILING = """
def model_fn(model_dir):
    raise OSError("no weights")
"""

EXITING = """
import os


def model_fn(model_dir):
    os._exit(7)
"""


class Kind(Enum):
    """What a model is, or what is wrong with it."""

    BOOSTER = "booster"
    NETWORK = "network"
    SCRIPT = "script"
    CORRUPT = "archive that is corrupt"
    DAMAGED = "model file that is cut off"
    FAILING = "script that fails while it loads"
    EXITING = "script that ends its process while it loads"


SHARES = {
    Kind.NETWORK: 0.2,
    Kind.SCRIPT: 0.06,
    Kind.CORRUPT: 0.04,
    Kind.DAMAGED: 0.02,
    Kind.FAILING: 0.02,
    Kind.EXITING: 0.01,
}
"""Of all models; the others are boosters."""

COMPLAINTS = {
    Kind.CORRUPT: "is refused",
    Kind.DAMAGED: "is damaged",
    Kind.FAILING: "no weights",
    Kind.EXITING: "exit status 7",
}
"""What the answer says of a model that cannot be loaded."""

Files = dict[str, bytes]


class Model:
    """An archive, and what a server has to make of it."""

    def __init__(self, path: Path, name: str, kind: Kind, number: int, zoo: "Zoo") -> None:
        self.path = path
        self.name = name
        """In the repository."""
        self.kind = kind
        self.good = kind not in COMPLAINTS
        self.version = 0
        self._number = number
        self._zoo = zoo
        self._lock = Lock()

    def publish(self) -> None:
        """Put the next version in place, or the first."""
        with self._lock:
            if self.path.exists():
                self.version += 1
            draft = self.path.with_suffix(".draft")
            draft.write_bytes(self._archive())
            draft.replace(self.path)

    def question(self) -> tuple[bytes, str]:
        """A body, and its type."""
        return (b"ask", "text/plain") if self.kind is Kind.SCRIPT else (ROW, "text/csv")

    def answers(self, oldest: int = 0) -> set[bytes]:
        """What a good one may answer: as any version does, from the oldest that may be served."""
        return {self._answer(version) for version in range(oldest, self.version + 1)}

    def _answer(self, version: int) -> bytes:
        number = self._number + STEP * version
        if self.kind is Kind.SCRIPT:
            return b"%d\n" % number
        if self.kind is Kind.NETWORK:
            return b"%d.0\n" % number
        return f"{self._zoo.predicted + np.float32(number)!s}\n".encode()

    def _archive(self) -> bytes:
        number = self._number + STEP * self.version
        archive = _packed(self._zoo.files[self.kind](number))
        return archive[: len(archive) // 2] if self.kind is Kind.CORRUPT else archive


class Zoo:
    """All models, as archives in a folder."""

    def __init__(self, folder: Path, count: int) -> None:
        self._booster = _trained()
        self.predicted = np.float32(_predicted(bytes(self._booster.save_raw("ubj"))))
        """What a booster answers whose number is 0."""
        self.files: dict[Kind, Callable[[int], Files]] = {
            Kind.BOOSTER: self._boosters_files,
            Kind.NETWORK: _networks_files,
            Kind.SCRIPT: _scripts_files,
            Kind.CORRUPT: self._boosters_files,
            Kind.DAMAGED: lambda number: {"xgboost-model": _cut(self._boosters_files(number))},
            Kind.FAILING: lambda _: {"code/inference.py": FAILING.encode()},
            Kind.EXITING: lambda _: {"code/inference.py": EXITING.encode()},
        }
        kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, int(share * count)))]
        kinds += [Kind.BOOSTER] * (count - len(kinds))
        np.random.default_rng(7).shuffle(kinds)  # type: ignore[arg-type]
        self.models = [
            Model(folder / f"{number:04}.tar.gz", f"{number:04}.tar.gz", kind, number, self)
            for number, kind in enumerate(kinds)
        ]
        for model in self.models:
            model.publish()

    def _boosters_files(self, number: int) -> Files:
        model = json.loads(self._booster.save_raw("json"))
        model["learner"]["learner_model_param"]["base_score"] = f"[{number}E0]"
        booster = xgboost.Booster()
        booster.load_model(bytearray(json.dumps(model).encode()))
        return {"xgboost-model": bytes(booster.save_raw("ubj"))}


def _trained() -> xgboost.Booster:
    """A booster whose answers are sums of halves: adding a number to one loses no digit."""
    random = np.random.default_rng(5)
    rows = random.random((2000, 4)).astype(np.float32)
    labels = np.round(random.random(2000) * 2) / 2
    parameters = {"max_depth": DEPTH, "base_score": 0, "nthread": 1}
    return xgboost.train(parameters, xgboost.DMatrix(rows, labels), TREES)
