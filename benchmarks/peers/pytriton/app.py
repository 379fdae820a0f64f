"""Both models behind Triton's HTTP endpoint, through PyTriton's Python backend."""

import argparse
import os
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

MODELS = Path(os.environ["MODELS"])
COLUMNS = {"xgboost": (30, 1), "mlp": (256, 10)}
"""How many values each model takes and gives."""

Array = npt.NDArray[np.float32]
Infer = Callable[..., dict[str, Array]]


def boosted() -> Infer:
    import xgboost

    model = xgboost.Booster({"nthread": 1}, model_file=MODELS / "xgboost" / "model.ubj")

    @batch
    def infer(**inputs: Array) -> dict[str, Array]:
        return {"output": model.inplace_predict(inputs["input"]).reshape(-1, 1)}

    return infer


def network() -> Infer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    file = MODELS / "mlp" / "model.onnx"
    model = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])

    @batch
    def infer(**inputs: Array) -> dict[str, Array]:
        return {"output": model.run(None, {"input": inputs["input"]})[0]}

    return infer


LOADERS = {"xgboost": boosted, "mlp": network}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, required=True, help="its port, as are the others")
    parser.add_argument("--grpc", type=int, required=True)
    parser.add_argument("--metrics", type=int, required=True)
    parser.add_argument("--models", required=True, help="which to serve, with commas between")
    parser.add_argument("--instances", type=int, default=1, help="of each model")
    parser.add_argument("--delay", type=int, default=0, help="microseconds to fill a batch")
    parser.add_argument("--http-threads", type=int)
    options = parser.parse_args()
    ports = TritonConfig(
        http_address="127.0.0.1",
        http_port=options.http,
        http_thread_count=options.http_threads,
        grpc_port=options.grpc,
        metrics_port=options.metrics,
    )
    config = ModelConfig(
        max_batch_size=64,
        batcher=DynamicBatcher(max_queue_delay_microseconds=options.delay),
    )
    # Triton's stub for Python has to find the library of this interpreter, not of the system's.
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    with Triton(config=ports) as triton:
        for name in options.models.split(","):
            taken, given = COLUMNS[name]
            triton.bind(
                model_name=name,
                infer_func=[LOADERS[name]() for _ in range(options.instances)],
                inputs=[Tensor(name="input", dtype=np.float32, shape=(taken,))],
                outputs=[Tensor(name="output", dtype=np.float32, shape=(given,))],
                config=config,
                strict=False,
            )
        triton.serve()


if __name__ == "__main__":
    main()
