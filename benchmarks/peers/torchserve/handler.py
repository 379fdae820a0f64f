"""TorchServe's handler: the rows of a batch of requests are predicted together."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import orjson
import xgboost

Array = npt.NDArray[np.float32]


class Handler:
    """A model in its process; the server finds the class, and knows its two methods."""

    def initialize(self, context: Any) -> None:
        """Load the file of the archive."""
        file = Path(
            context.system_properties["model_dir"], context.manifest["model"]["serializedFile"]
        )
        if file.suffix == ".ubj":
            self._predict = xgboost.Booster({"nthread": 1}, model_file=file).inplace_predict
            return
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._predict = lambda rows: session.run(["probabilities"], {"input": rows})[0]

    def handle(self, requests: Sequence[Mapping[str, bytes]], context: Any) -> list[bytes]:
        """The answers to the requests of a batch, in their order."""
        kinds = [
            context.get_request_header(index, "Content-Type") for index in range(len(requests))
        ]
        inputs = [
            _rows(bytes(request["body"]), kind)
            for request, kind in zip(requests, kinds, strict=True)
        ]
        ends = np.cumsum([len(rows) for rows in inputs])[:-1]
        outputs = np.split(self._predict(np.concatenate(inputs)), ends)
        for index, kind in enumerate(kinds):
            answered = kind if kind == "application/x-npy" else "application/json"
            context.set_response_content_type(index, answered)
        return [_answer(output, kind) for output, kind in zip(outputs, kinds, strict=True)]


def _rows(body: bytes, kind: str) -> Array:
    if kind == "text/csv":
        return np.fromstring(body, np.float32, sep=",").reshape(1, -1)
    if kind == "application/json":
        return np.array(orjson.loads(body)["instances"], np.float32)
    return np.load(io.BytesIO(body))


def _answer(predictions: Array, kind: str) -> bytes:
    if kind == "application/x-npy":
        buffer = io.BytesIO()
        np.save(buffer, predictions)
        return buffer.getvalue()
    return orjson.dumps({"predictions": predictions}, option=orjson.OPT_SERIALIZE_NUMPY)
