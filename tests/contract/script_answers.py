"""What scripts answer: values in JSON, and errors."""

import io
import json
from typing import Any

import numpy as np

from tests.support import Answer

CSV, JSON, NPY, NPZ = "text/csv", "application/json", "application/x-npy", "application/x-npz"


def told(answer: Answer) -> Any:
    """What a script tells in JSON."""
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def refused(answer: Answer) -> tuple[int, str]:
    """The status and the message of an error, which shows the client no traceback."""
    body = json.loads(answer.body)
    assert body.keys() == {"code", "type", "message"}
    assert body["code"] == answer.status
    assert "Traceback" not in body["message"]
    assert "\n" not in body["message"]
    return answer.status, body["message"]


def as_npy(array: Any, **options: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()
