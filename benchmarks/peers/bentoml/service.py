"""Both models behind one BentoML service, an endpoint for each kind of request."""

import os
from pathlib import Path

import bentoml
import numpy as np
import numpy.typing as npt

MODELS = Path(os.environ["MODELS"])
SERVED = os.environ["SERVED"].split(",")

Array = npt.NDArray[np.float32]


@bentoml.service(
    workers=int(os.environ["WORKERS"]),
    logging={"access": {"enabled": False}},
)
class Models:
    def __init__(self) -> None:
        if "xgboost" in SERVED:
            import xgboost

            file = MODELS / "xgboost" / "model.ubj"
            self.booster = xgboost.Booster({"nthread": 1}, model_file=file)
        if "mlp" in SERVED:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            file = MODELS / "mlp" / "model.onnx"
            self.session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])

    def _boosted(self, rows: Array) -> Array:
        return self.booster.inplace_predict(rows)

    def _network(self, rows: Array) -> Array:
        return self.session.run(None, {"input": rows})[0]

    # Shorter than the way to a thread and back, so they run on the event loop.

    @bentoml.api(route="/xgboost")
    async def xgboost(self, row: str, /) -> str:
        values = np.array(row.split(","), np.float32)
        return str(self._boosted(values.reshape(1, -1)).item())

    @bentoml.api(route="/mlp/json")
    async def mlp_json(self, instances: list[list[float]]) -> list[list[float]]:
        return self._network(np.array(instances, np.float32)).tolist()

    @bentoml.api(route="/mlp/bytes")
    async def mlp_bytes(self, values: bytes, /) -> bytes:
        return self._network(np.frombuffer(values, np.float32).reshape(1, -1)).tobytes()

    # Batched, an endpoint takes several rows as JSON.

    @bentoml.api(route="/xgboost/batched", batchable=True, max_latency_ms=1000)
    async def xgboost_batched(self, instances: list[list[float]]) -> list[float]:
        return self._boosted(np.array(instances, np.float32)).tolist()

    @bentoml.api(route="/mlp/batched", batchable=True, max_latency_ms=1000)
    async def mlp_batched(self, instances: list[list[float]]) -> list[list[float]]:
        return self._network(np.array(instances, np.float32)).tolist()
