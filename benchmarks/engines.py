"""What a prediction costs by XGBoost's Python method and by its C function: a ratio for each size.

    python -m benchmarks.engines

Both predict the same rows with the same booster (100 trees of depth 6, 30 features, one thread), in
turn; the figures are the medians of all rounds.
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
from serving.engines.booster import DensePredictor

ROWS = (1, 8, 32, 128, 1024)
ROUNDS = 15
CALLS = 100


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        booster = xgb.Booster({"nthread": 1}, model_file=make(Path(folder)).model / "model.ubj")
    direct = DensePredictor(booster, (0, 0))
    print("| rows | inplace_predict, µs | C function, µs | ratio |")
    print("| ---: | ---: | ---: | ---: |")
    for count in ROWS:
        rows = np.random.default_rng(0).normal(size=(count, 30)).astype(np.float32)
        rounds = [
            (_each(partial(booster.inplace_predict, rows)), _each(partial(direct, rows)))
            for _ in range(ROUNDS)
        ]
        method, function = (statistics.median(times) for times in zip(*rounds, strict=True))
        ratio = statistics.median(first / second for first, second in rounds)
        print(f"| {count} | {method:.0f} | {function:.0f} | {ratio:.1f} |")


def _each(call: Callable[[], object]) -> float:
    """Microseconds a call takes."""
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - start) / CALLS * 1e6


if __name__ == "__main__":
    main()
