"""``serving inspect``: what a model is, takes and gives."""

import argparse
import json
from typing import Any

from serving import engines, warmup
from serving.cli.common import Environment, read_settings
from serving.model import Model, Tensor
from serving.preparing import model_folder, with_code

ANY = "any, as its script decides"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("model", help="model directory, archive or URL")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Load the model, let it answer its warm-up, and print the facts.

    Raises:
        ArchiveError, ModelLoadError: there is no model, or it does not load.
    """
    settings = read_settings(options, environment)
    folder = model_folder(options.model, settings)
    model = engines.load(folder, with_code(settings, folder))
    warmup.measure(model)
    facts = describe(model)
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    for name, value in facts.items():
        lines = value if isinstance(value, list) else [value]
        for index, line in enumerate(lines or ["unknown until a request comes"]):
            text = line if isinstance(line, str) else f"{line['name']}: {_shape(line)}"
            print(f"{name.replace('_', ' ') if index == 0 else '':<15} {text}")
    return 0


def describe(model: Model) -> dict[str, Any]:
    """The facts of a model, as JSON has them."""
    return {
        "engine": model.engine,
        **({"libraries": model.libraries} if model.libraries else {}),
        "inputs": [_tensor(tensor) for tensor in model.inputs],
        "outputs": [_tensor(tensor) for tensor in model.outputs],
        "content_types": list(model.reads) or ANY,
        "accept": list(model.writes) or ANY,
        "script": ", ".join(sorted(model.foreign)) or "none",
        "batches": "yes" if model.merge_key is not None else "no",
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}


def _shape(tensor: dict[str, Any]) -> str:
    lengths = ", ".join("any" if length is None else str(length) for length in tensor["shape"])
    return f"{tensor['dtype'] or 'any type'} ({lengths})"
