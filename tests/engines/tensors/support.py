"""Inputs that models declare, and bodies for them."""

import io
from typing import Any

import numpy as np

from serving.engines import tensors
from serving.model import Tensor
from serving.values import Payload, Request

TABLE = (Tensor("x", "float32", (None, 4)),)
IMAGE = (Tensor("image", "float32", (None, 1, 2, 2)),)
MIXED = (
    Tensor("age", "float32", (None, 1)),
    Tensor("id", "int64", (None, 1)),
    Tensor("town", "str", (None, 1)),
)
UNKNOWN = (Tensor("x", "", ()),)


def decode(
    body: bytes | str,
    inputs: tuple[Tensor, ...],
    content_type: str | None = "application/json",
    *,
    stacks: bool = True,
) -> Payload:
    headers = {} if content_type is None else {"content-type": content_type}
    raw = body.encode() if isinstance(body, str) else body
    request = Request("POST", "/invocations", headers, raw)
    return tensors.decode(request, inputs, lambda _: stacks)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


ROWS = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
