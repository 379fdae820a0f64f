"""MLServer's runtime of the two models; what it is asked at once, it predicts together."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
import xgboost
from fastapi import Request, Response
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.handlers import custom_handler
from mlserver.types import InferenceRequest, InferenceResponse


class Booster(MLModel):
    """XGBoost, which says one value of a row."""

    async def load(self) -> bool:
        """Load the file of the model."""
        file = Path(os.environ["MODELS"], self.name, "model.ubj")
        self._booster = xgboost.Booster({"nthread": 1}, model_file=file)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Rows to probabilities, as columns."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("output", self._booster.inplace_predict(rows)[:, None])
        return InferenceResponse(model_name=self.name, outputs=[output])


class Network(MLModel):
    """ONNX Runtime."""

    async def load(self) -> bool:
        """Load the file of the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = Path(os.environ["MODELS"], self.name, "model.onnx")
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Rows to probabilities."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        (output,) = self._session.run(["probabilities"], {"input": rows})
        outputs = [NumpyCodec.encode_output("probabilities", output)]
        return InferenceResponse(model_name=self.name, outputs=outputs)

    @custom_handler(rest_path="/mlp/binary")
    async def binary(self, request: Request) -> Response:
        """One row as bytes: the protocol's binary tensors it takes over gRPC alone."""
        row = np.frombuffer(await request.body(), np.float32)[None]
        (output,) = self._session.run(["probabilities"], {"input": row})
        return Response(output.tobytes(), media_type="application/octet-stream")
