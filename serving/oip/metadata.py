"""What the server and its models tell of themselves."""

from collections.abc import Iterable
from typing import Any

import orjson

from serving import __version__
from serving.model import Model, Tensor
from serving.oip import datatypes
from serving.targets import Target
from serving.values import Response

VERSION = "1"
"""A model has one version: the one that is loaded."""

EXTENSIONS = ["binary_tensor_data"]

PLATFORMS = {"onnx": "onnxruntime_onnx", "torch": "pytorch_libtorch"}
"""What other servers call the libraries of the engines; the rest are called as their engine."""

BODY = Tensor("body", "str", (1,))
"""The input, or the output, of a model whose script reads, or writes, the body itself."""


def server() -> Response:
    """The metadata of this server."""
    return _json({"name": "hybrid-serving", "version": __version__, "extensions": EXTENSIONS})


def of_model(model: Model, target: Target) -> Response:
    """The metadata of a model."""
    inputs = (BODY,) if model.take is None else model.inputs
    outputs = (BODY,) if model.give is None else model.outputs
    return _json(
        {
            "name": target.model,
            "versions": [VERSION],
            "platform": PLATFORMS.get(model.engine, model.engine),
            "inputs": [datatypes.declared(tensor) for tensor in inputs],
            "outputs": [datatypes.declared(tensor) for tensor in outputs],
        }
    )


def ready(name: str) -> Response:
    """A model of that name can answer."""
    return _json({"name": name, "ready": True})


def index(models: Iterable[tuple[str, str]]) -> Response:
    """The models by name, each with the reason why it cannot answer, if it cannot."""
    return _json(
        [
            {
                "name": name,
                "version": VERSION,
                "state": "UNAVAILABLE" if reason else "READY",
                "reason": reason,
            }
            for name, reason in models
        ]
    )


def _json(content: Any) -> Response:
    return Response(200, orjson.dumps(content), "application/json")
