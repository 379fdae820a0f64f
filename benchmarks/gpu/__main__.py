"""The command line: the measurements in turn, and the table."""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import client
from benchmarks.gpu.client import Rows
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import Target, started

COLUMNS, WIDTH, CLASSES = 512, 4096, 1000
BODIES = 8
"""Different requests, sent in turn."""
DEVICE = "cuda:0"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; the exit status is 1 where that is not possible."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="Serve a PyTorch model on a GPU beside a bare loop; print a table.",
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="a measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--rows", type=int, default=32, help="of a request (%(default)s)")
    parser.add_argument("--connections", type=int, default=12, help="(%(default)s)")
    options = parser.parse_args(arguments)
    try:
        facts = gpu()
        with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
            print(f"{facts}\n\n{measure(options, Path(folder), DEVICE)}")
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def gpu() -> str:
    """The device and the versions. Raises BenchmarkError where there is no device."""
    import torch

    if not torch.cuda.is_available():
        raise BenchmarkError(
            f"There is no CUDA device for PyTorch {torch.__version__} here; nothing was measured."
        )
    name = torch.cuda.get_device_name(0)
    return f"{name}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}"


def table(rates: dict[str, list[float]], served: str) -> str:
    """Rows a second of each, as the median of the rounds, and what the server reaches of it."""
    reached = statistics.median(rates[served])
    lines = ["| | rows/s (lowest to highest round) | served ÷ this |", "| --- | ---: | ---: |"]
    for name, found in rates.items():
        middle = statistics.median(found)
        bounds = f"{min(found):,.0f} to {max(found):,.0f}"
        lines.append(f"| {name} | {middle:,.0f} ({bounds}) | {reached / middle:.2f} |")
    return "\n".join(lines)


def measure(options: argparse.Namespace, folder: Path, device: str) -> str:
    """The table. Raises BenchmarkError where the server does not answer as the module does."""
    import torch

    torch.manual_seed(0)
    layers = [COLUMNS, WIDTH, WIDTH, CLASSES]
    parts: list[torch.nn.Module] = []
    for before, after in itertools.pairwise(layers):
        parts += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    module = torch.nn.Sequential(*parts).eval()
    _export(module, folder / "model" / "model.pt2")
    generator = np.random.default_rng(0)
    shape = options.rows, COLUMNS
    batches = [generator.random(shape, np.float32) for _ in range(BODIES)]
    together = [np.tile(batch, (options.connections, 1)) for batch in batches]
    module = module.to(device)
    alone, joined = "bare loop, a request a batch", "bare loop, all requests in a batch"
    served = f"served, {options.connections} connections"
    rates: dict[str, list[float]] = {alone: [], joined: [], served: []}
    target = _target(folder / "model")
    with started(target, folder) as server:
        _verify(server.port, batches[0], _answer(module, batches[0], device))
        for _ in range(options.rounds):
            rates[alone].append(_loop(module, batches, options.seconds, device))
            rates[joined].append(_loop(module, together, options.seconds, device))
            rates[served].append(
                client.load(server.port, batches, options.connections, options.seconds)
            )
    return table(rates, served)


def _export(module: Any, path: Path) -> None:
    import torch

    path.parent.mkdir()
    free = ({0: torch.export.Dim("rows")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (torch.zeros(2, COLUMNS),), dynamic_shapes=free)
        torch.export.save(program, path)


def _target(model: Path) -> Target:
    def command(port: int) -> list[str]:
        serve = [sys.executable, "-m", "serving.cli", "serve", str(model), "--workers", "1"]
        return [*serve, "--bind", "127.0.0.1", "--port", str(port)]

    kept = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
    return Target(
        "serving", command, variables=tuple((n, os.environ[n]) for n in kept if n in os.environ)
    )


def _answer(module: Any, batch: Rows, device: str) -> Rows:
    import torch

    with torch.inference_mode():
        answer: Rows = module(torch.from_numpy(batch).to(device)).cpu().numpy()
    return answer


def _loop(module: Any, batches: Sequence[Rows], seconds: float, device: str) -> float:
    """Rows a second of a loop over the batches."""
    _answer(module, batches[0], device)
    begin, rows = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        for batch in batches:
            rows += len(_answer(module, batch, device))
    return rows / (time.perf_counter() - begin)


def _verify(port: int, batch: Rows, expected: Rows) -> None:
    if not np.allclose(client.ask(port, batch), expected, rtol=1e-2, atol=1e-4):
        raise BenchmarkError("The server answers otherwise than the module.")


if __name__ == "__main__":
    sys.exit(main())
