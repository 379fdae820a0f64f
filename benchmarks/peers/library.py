"""The library called in a loop, without a server: a limit of what a server can answer.

    python -m benchmarks.peers.library MODELS SECONDS

prints the predictions a second of one process for each model, one row a call, with one thread.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import xgboost

from benchmarks.peers.workloads import COLUMNS, MODELS
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import REPOSITORY
from benchmarks.throughput.workload import FEATURES

GRACE_SECONDS = 60.0
CALLS = 100
"""Between two looks at the clock."""


def rates(models: Path, seconds: float) -> dict[str, tuple[float, float]]:
    """Predictions a second by model: of one process, and of one process a core together.

    Raises:
        BenchmarkError: a process failed.
    """
    alone = _together(models, seconds, 1)
    together = _together(models, seconds, len(os.sched_getaffinity(0)))
    return {name: (alone[name], together[name]) for name in MODELS}


def planned(seconds: float) -> float:
    """Seconds that `rates` will take."""
    return 2 * (len(MODELS) * seconds + 2)


def _together(models: Path, seconds: float, processes: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.peers.library", str(models), str(seconds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    found = []
    try:
        for process in running:
            output, _ = process.communicate(timeout=len(MODELS) * seconds + GRACE_SECONDS)
            if process.returncode != 0:
                raise BenchmarkError(f"{' '.join(command)} ended with {process.returncode}.")
            found.append(json.loads(output))
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(str(error)) from error
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return {name: sum(each[name] for each in found) for name in MODELS}


def _main() -> None:
    models, seconds = Path(sys.argv[1]), float(sys.argv[2])
    row = np.zeros((1, FEATURES), np.float32)
    booster = xgboost.Booster({"nthread": 1}, model_file=models / "xgboost" / "model.ubj")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(models / "mlp" / "model.onnx", options)
    inputs = {"input": np.zeros((1, COLUMNS[0]), np.float32)}
    found = {
        "xgboost": _rate(lambda: booster.inplace_predict(row), seconds),
        "mlp": _rate(lambda: session.run(None, inputs), seconds),
    }
    print(json.dumps(found))


def _rate(call: Callable[[], object], seconds: float) -> float:
    count, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        for _ in range(CALLS):
            call()
        count += CALLS
    return count / elapsed


if __name__ == "__main__":
    _main()
