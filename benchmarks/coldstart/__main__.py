"""Command line: start each function again and again, and print the table."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import command
from benchmarks.coldstart import functions, report
from benchmarks.coldstart.functions import OURS, ROOT
from benchmarks.coldstart.report import Result
from benchmarks.throughput import BenchmarkError

MODELS = {"xgboost": "xgboost_tabular", "onnx": "sklearn_onnx"}
"""The example that each library serves."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status is 1 where it failed, or ``--check`` says so."""
    options = _parse(arguments)
    return command.run(
        lambda: _measure(options.image, options.models, options.rounds, options.cpus),
        report.table,
        lambda results: [line for result in results for line in report.missed(result)],
        check=options.check,
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coldstart",
        description="Time to the first answer of the Lambda image, and of a bare function in it.",
    )
    parser.add_argument("--image", default="hybrid-serving:lambda", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="of all models (%(default)s)")
    parser.add_argument("--cpus", type=float, default=1.0, help="of a function (%(default)s)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--check", action="store_true", help="fail where the bar is missed")
    return parser.parse_args(arguments)


def _measure(image: str, models: Sequence[str], rounds: int, cpus: float) -> list[Result]:
    """Take turns: the machine is not the same from minute to minute."""
    results = [Result(name, [], []) for name in models]
    with tempfile.TemporaryDirectory(prefix="coldstart-") as directory:
        folders = {name: _train(MODELS[name], Path(directory) / name) for name in models}
        for number in range(1, rounds + 1):
            for result in results:
                print(f"round {number} of {rounds}: {result.model}", file=sys.stderr, flush=True)
                _round(result, image, folders[result.model], cpus)
    return results


def _train(example: str, folder: Path) -> Path:
    folder.mkdir()
    script = ROOT / "inference_scripts" / example / "train.py"
    subprocess.run([sys.executable, script, folder], check=True, stdout=subprocess.DEVNULL)
    for path in (folder.parent, folder):
        path.chmod(0o755)  # it is read by another user in the container
    return folder


def _round(result: Result, image: str, model: Path, cpus: float) -> None:
    rows = (ROOT / "inference_scripts" / MODELS[result.model] / "request.csv").read_text()
    headers = {"content-type": "text/csv", "accept": "text/csv"}
    event = {"httpMethod": "POST", "headers": headers, "body": rows}
    bare, ours = (
        functions.first_answer(image, handler, model, event, cpus)
        for handler in (f"{result.model}_function.handler", OURS)
    )
    if len(bare[1].split()) != len(ours[1].split()):
        raise BenchmarkError(f"{result.model}: ours answers {ours[1]!r}, and bare {bare[1]!r}.")
    result.bare.append(bare[0])
    result.ours.append(ours[0])


if __name__ == "__main__":
    sys.exit(main())
