"""The models of the soak: good ones, of which no two answer alike, and ones with a fault each."""

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

ROW = np.array([[0.5, 0.25, 0.75, 1]], np.float32)
"""What a model without a script is asked."""

ROWS, TREES, DEPTH = 500, 30, 6
"""Of a booster: to train on, and to have."""

VALUES = 32 * 1024
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
    return f"{number}.0\\n"
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

Files = dict[str, bytes]


class Kind(Enum):
    """What a model is, or what is wrong with it."""

    BOOSTER = "booster"
    NETWORK = "network"
    SCRIPT = "script"
    CORRUPT = "archive that is cut off"
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
    Kind.CORRUPT: b"is refused",
    Kind.DAMAGED: b"is damaged",
    Kind.FAILING: b"no weights",
    Kind.EXITING: b"exit status 7",
}
"""What is said of a model that cannot be loaded."""


class Model:
    """An archive in the repository, and what it has to answer."""

    def __init__(self, path: Path, kind: Kind, number: int) -> None:
        self.path = path
        self.name = path.name
        self.kind = kind
        self._number = number
        self._versions: list[bytes] = []
        self._lock = Lock()

    @property
    def complaint(self) -> bytes:
        """What is said of it where it cannot be loaded; nothing of a good one."""
        return COMPLAINTS.get(self.kind, b"")

    @property
    def question(self) -> tuple[bytes, str]:
        """A body, and its type."""
        if self.kind is Kind.SCRIPT:
            return b"ask", "text/plain"
        return ",".join(map(str, ROW[0])).encode(), "text/csv"

    @property
    def answers(self) -> list[bytes]:
        """What each version answers, the newest last."""
        return list(self._versions)

    def publish(self) -> None:
        """Put the next version in place, or the first, as a whole."""
        with self._lock:
            files, answer = MAKERS[self.kind](self._number + STEP * len(self._versions))
            archive = _packed(files)
            if self.kind is Kind.CORRUPT:
                archive = archive[: len(archive) // 2]
            self._versions.append(answer)  # from the rename on it may be served
            draft = self.path.with_suffix(".draft")
            draft.write_bytes(archive)
            draft.replace(self.path)


def make(folder: Path, count: int) -> list[Model]:
    """Fill a repository with so many models, of all kinds."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, int(share * count)))]
    kinds += [Kind.BOOSTER] * (count - len(kinds))
    order = np.random.default_rng(7).permutation(len(kinds))
    models = [
        Model(folder / f"{number:04}.tar.gz", kinds[index], number)
        for number, index in enumerate(order)
    ]
    for model in models:
        model.publish()
    return models


def _booster(number: int) -> tuple[Files, bytes]:
    """A booster that answers about the number, and what the library says that it answers."""
    random = np.random.default_rng(5)
    matrix = xgboost.DMatrix(random.random((ROWS, 4)), random.random(ROWS) + number)
    booster = xgboost.train({"max_depth": DEPTH, "nthread": 1}, matrix, TREES)
    answer = f"{booster.inplace_predict(ROW)[0]!s}\n".encode()
    return {"xgboost-model": bytes(booster.save_raw("ubj"))}, answer


def _damaged(number: int) -> tuple[Files, bytes]:
    files, answer = _booster(number)
    return {name: content[: len(content) // 2] for name, content in files.items()}, answer


def _network(number: int) -> tuple[Files, bytes]:
    """A network that looks the row up among values that are all the number."""
    values = numpy_helper.from_array(np.full(VALUES, number, np.float32), "values")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["values", "index"], ["found"]),
            helper.make_node("ReduceMax", ["found"], ["y"], axes=[1]),
        ],
        "table",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])],
        [values],
    )
    opsets = [helper.make_opsetid("", 17)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return {"model.onnx": model.SerializeToString()}, b"%d.0\n" % number


def _script(number: int) -> tuple[Files, bytes]:
    """A script with a helper module that knows the number."""
    helpers = b"NUMBER = %d\n" % number
    return {"code/inference.py": SCRIPT.encode(), "code/helper.py": helpers}, b"%d.0\n" % number


def _alone(source: str) -> Callable[[int], tuple[Files, bytes]]:
    return lambda _number: ({"code/inference.py": source.encode()}, b"")


MAKERS: dict[Kind, Callable[[int], tuple[Files, bytes]]] = {
    Kind.BOOSTER: _booster,
    Kind.NETWORK: _network,
    Kind.SCRIPT: _script,
    Kind.CORRUPT: _booster,
    Kind.DAMAGED: _damaged,
    Kind.FAILING: _alone(FAILING),
    Kind.EXITING: _alone(EXITING),
}
"""Each gives the files of a model of a number, and what it answers."""


def _packed(files: Files) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return buffer.getvalue()
