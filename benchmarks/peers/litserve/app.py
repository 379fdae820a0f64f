"""Both models behind LitServe: an interface and a path for each."""

import argparse
import os
from pathlib import Path
from typing import Annotated, Any

import litserve
import numpy as np
import numpy.typing as npt
import orjson
from fastapi import Body, Response

MODELS = Path(os.environ["MODELS"])

Array = npt.NDArray[np.float32]


class Boosted(litserve.LitAPI):
    """XGBoost: rows of CSV in, a probability out."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe gives it
        import xgboost

        file = MODELS / "xgboost" / "model.ubj"
        self.model = xgboost.Booster({"nthread": 1}, model_file=file)

    def decode_request(self, request: Annotated[bytes, Body()]) -> Array:
        return np.array(request.split(b","), np.float32)

    def predict(self, x: Array) -> Any:
        return self.model.inplace_predict(np.atleast_2d(x))

    def encode_response(self, output: Any) -> Response:
        return Response(str(output.item()), media_type="text/csv")


class Network(litserve.LitAPI):
    """The network: JSON or float32 values in, JSON or such values out."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe gives it
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = MODELS / "mlp" / "model.onnx"
        self.model = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])

    def predict(self, x: Array) -> Any:
        return self.model.run(None, {"input": np.atleast_2d(x)})[0]


class NetworkAsJson(Network):
    def decode_request(self, request: Annotated[dict[str, Any], Body()]) -> Array:
        return np.array(request["instances"][0], np.float32)

    def encode_response(self, output: Array) -> Response:
        content = orjson.dumps({"predictions": output}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(content, media_type="application/json")


class NetworkAsBytes(Network):
    def decode_request(self, request: Annotated[bytes, Body()]) -> Array:
        return np.frombuffer(request, np.float32)

    def encode_response(self, output: Array) -> Response:
        return Response(output.tobytes(), media_type="application/octet-stream")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", required=True, help="which to serve, with commas between")
    parser.add_argument("--workers", type=int, default=1, help="a path")
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--fast-queue", action="store_true")
    options = parser.parse_args()
    apis: list[litserve.LitAPI] = []
    if "xgboost" in options.models:
        apis.append(Boosted(api_path="/xgboost", max_batch_size=options.batch))
    if "mlp" in options.models:
        apis.append(NetworkAsJson(api_path="/mlp/json", max_batch_size=options.batch))
        apis.append(NetworkAsBytes(api_path="/mlp/bytes", max_batch_size=options.batch))
    server = litserve.LitServer(
        apis,
        accelerator="cpu",
        workers_per_device=options.workers,
        fast_queue=options.fast_queue,
    )
    server.run(
        host="127.0.0.1",
        port=options.port,
        num_api_servers=options.servers,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
