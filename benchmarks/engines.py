"""What a prediction costs by XGBoost's Python method, by its C function, and by ONNX Runtime.

    python -m benchmarks.engines

All predict the same rows with the same trees (100 of depth 6, 30 features, one thread), in turn.
The figures are medians of all rounds, in CPU time of the calling thread, which does the work: on a
machine that others use, too, the ratios hold. The last line is what a server would choose.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import xgboost as xgb

from benchmarks.throughput.workload import make
from serving import configuration, engines
from serving.compilation.conversion import convert_model
from serving.engines import converted, libxgboost
from serving.engines.booster import DensePredictor

ROWS = (1, 8, 32, 64, 128, 256, 1024)
ROUNDS = 15
SECONDS = 0.02
"""Of one library's part of a round."""


def main() -> None:
    """Measure and print the table."""
    settings = configuration.read({}, workers=1, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        model = make(Path(folder)).model
        made = convert_model(model, Path(folder, "compiled"), settings, None).folder
        booster = xgb.Booster({"nthread": 1}, model_file=model / "model.ubj")
        direct = DensePredictor(libxgboost.Booster(booster))
        onnx = converted.read(made / "model.ubj.xgb.onnx", settings).predict
        chosen = engines.load(made, settings).libraries
    print("| rows | inplace_predict, µs | C function, µs | ONNX Runtime, µs | C / ONNX |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in ROWS:
        rows = np.random.default_rng(0).normal(size=(count, 30)).astype(np.float32)
        calls = [partial(each, rows) for each in (booster.inplace_predict, direct, onnx)]
        rounds = [[_each(call) for call in calls] for _ in range(ROUNDS)]
        method, function, other = (statistics.median(times) for times in zip(*rounds, strict=True))
        ratio = statistics.median(times[1] / times[2] for times in rounds)
        print(f"| {count:,} | {method:,.0f} | {function:,.0f} | {other:,.0f} | {ratio:.2f} |")
    print(f"\n{chosen}")


def _each(call: Callable[[], object]) -> float:
    """Microseconds that a call takes; the first, which finds cold caches, is not counted."""
    call()
    count, start = 0, time.thread_time()
    while (spent := time.thread_time() - start) < SECONDS:
        call()
        count += 1
    return spent / count * 1e6


if __name__ == "__main__":
    main()
