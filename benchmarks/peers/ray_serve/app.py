"""Both models behind Ray Serve, an application for each, on a cluster of this machine alone."""

import argparse
import os
import signal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

MODELS = Path(os.environ["MODELS"])

Array = npt.NDArray[np.float32]


@serve.deployment
class Boosted:
    """XGBoost: a row of CSV in, a probability out."""

    def __init__(self) -> None:
        import xgboost

        file = MODELS / "xgboost" / "model.ubj"
        self.model = xgboost.Booster({"nthread": 1}, model_file=file)

    # The models take less time than the way to a thread and back: they run on the event loop.
    async def __call__(self, request: Request) -> Response:
        row = np.array((await request.body()).split(b","), np.float32)
        probability = self.model.inplace_predict(row.reshape(1, -1)).item()
        return Response(str(probability), media_type="text/csv")


@serve.deployment
class Network:
    """The network: JSON or float32 values in, JSON or such values out."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = MODELS / "mlp" / "model.onnx"
        self.model = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])

    async def __call__(self, request: Request) -> Response:
        body = await request.body()
        if request.headers["content-type"] == "application/json":
            answer = self._predict(np.array(orjson.loads(body)["instances"], np.float32))
            content = orjson.dumps({"predictions": answer}, option=orjson.OPT_SERIALIZE_NUMPY)
            return Response(content, media_type="application/json")
        answer = self._predict(np.frombuffer(body, np.float32).reshape(1, -1))
        return Response(answer.tobytes(), media_type="application/octet-stream")

    def _predict(self, rows: Array) -> Array:
        return self.model.run(None, {"input": rows})[0]


DEPLOYMENTS: dict[str, serve.Deployment] = {"xgboost": Boosted, "mlp": Network}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", required=True, help="which to serve, with commas between")
    parser.add_argument("--replicas", type=int, default=1, help="of each model")
    options = parser.parse_args()
    ray.init(include_dashboard=False, object_store_memory=100 * 2**20)
    serve.start(http_options={"host": "127.0.0.1", "port": options.port})
    for name in options.models.split(","):
        deployment = DEPLOYMENTS[name].options(
            num_replicas=options.replicas,
            max_ongoing_requests=100,
            # What Ray sets aside for a replica, not what it can use: all have to fit in two cores.
            ray_actor_options={"num_cpus": 0.5},
            logging_config={"enable_access_log": False},
        )
        serve.run(deployment.bind(), name=name, route_prefix=f"/{name}")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
