"""What a server of XGBoost models is asked, and its answers."""

import json
import struct
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.codecs import record
from serving.codecs.record import Tensor
from tests.contract.boosters import CLASSES, ROWS
from tests.contract.cases import post
from tests.support import Answer, Server

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
LIBSVM, RECORDIO = "text/libsvm", "application/x-recordio-protobuf"

TWO_ROWS, ANSWER = b"0,5\n2,5\n", b"1.0\n3.0\n"
"""The stump answers 1 where the first of two features is below 1, and 3 where it is not."""

KEYS = (
    *("predicted_label", "labels", "probability", "probabilities"),
    *("raw_score", "raw_scores", "predicted_score"),
)
"""All that SAGEMAKER_INFERENCE_OUTPUT may choose."""

OBJECTIVES = {
    **dict.fromkeys(
        (
            *("reg:squarederror", "reg:logistic", "reg:gamma"),
            *("reg:absoluteerror", "reg:tweedie"),
        ),
        KEYS[6:],
    ),
    **dict.fromkeys(("binary:logistic", "multi:softprob"), KEYS[:6]),
    **dict.fromkeys(("binary:logitraw", "binary:hinge", "multi:softmax"), (*KEYS[:2], *KEYS[4:6])),
}
"""The keys that each objective has."""

AS_CSV = "\n".join(",".join(map(repr, row)) for row in ROWS.tolist()).encode()


def frame(message: bytes) -> bytes:
    """A record in recordio's framing: the magic number, the length, padding to four bytes."""
    return struct.pack("<II", 0xCED7230A, len(message)) + message + bytes(-len(message) % 4)


def row(values: Any, dtype: str, keys: tuple[int, ...] = (), width: int = 0) -> bytes:
    """A record with the feature ``values``, sparse where it has keys."""
    shape = array("Q", [width] if width else [])
    tensor = Tensor(np.array(values, dtype), array("Q", keys), shape)
    return frame(record.write({"values": tensor}, {}))


def labels(**values: list[float]) -> bytes:
    """A record of an answer: float32 tensors by name."""
    tensors = {
        name: Tensor(np.array(each, np.float32), array("Q"), array("Q"))
        for name, each in values.items()
    }
    return frame(record.write({}, tensors))


def ask(
    server: Server, body: bytes = TWO_ROWS, content_type: str = CSV, accept: str = ""
) -> Answer:
    return server.ask(post(body, content_type, accept))


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, str(json.loads(answer.body)["message"])


def scores(answer: Answer) -> NDArray[np.float32]:
    """The numbers of a CSV answer."""
    assert answer.status == 200, answer.body
    lines = answer.body.decode().splitlines()
    return np.array([np.float32(line) for line in lines])


def selected(objective: str, score: Any) -> dict[str, Any]:
    """What each key is, for what the library predicts of a row."""
    family, _, name = objective.partition(":")
    if family == "reg":
        return {"predicted_score": score}
    found = {
        "labels": [0, 1] if family == "binary" else list(range(CLASSES)),
        "raw_score": max(score) if name == "softprob" else score,
        "raw_scores": score if name == "softprob" else [1.0 - score, score],
    }
    if name == "softprob":
        found["predicted_label"] = score.index(max(score))
    elif name == "logistic":
        found["predicted_label"] = int(score > 0.5)
    elif name == "logitraw":
        found["predicted_label"] = int(score > 0)
    else:
        found["predicted_label"] = score
    if name in ("softprob", "logistic"):
        found["probability"], found["probabilities"] = found["raw_score"], found["raw_scores"]
    return found
