"""What the library itself needs to hold a model, in a Python process that does nothing else.

    python -m benchmarks.density.library MODEL COUNT

prints the proportional set size of the process before and after it has loaded the model so often,
and asked each once, as a server's models are.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import xgboost

from serving.footprint import proportional_bytes

FEATURES = 30


def bytes_each(model: Path, count: int) -> float:
    """Memory of one loaded model, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.density.library", str(model), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    return float(after - before) / count


def _main() -> None:
    model, count = sys.argv[1], int(sys.argv[2])
    row = np.zeros((1, FEATURES), np.float32)
    first = xgboost.Booster({"nthread": 1}, model_file=model)  # whatever comes with the first one
    first.inplace_predict(row)
    before = proportional_bytes()
    boosters = []
    for _ in range(count):
        booster = xgboost.Booster({"nthread": 1}, model_file=model)
        booster.inplace_predict(row)
        boosters.append(booster)
    print(json.dumps([before, proportional_bytes()]))


if __name__ == "__main__":
    _main()
