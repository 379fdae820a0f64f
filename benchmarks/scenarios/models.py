"""The models that scenarios name, and the servers that have them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.density import archives
from benchmarks.overload.scenarios import SLOW
from benchmarks.throughput import workload

MANY = 100

STREAM = """
import asyncio

def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    async def chunks():
        for number in range(20):
            await asyncio.sleep(0.005)
            yield b"chunk %d\\n" % number

    return chunks()
"""


class Made(NamedTuple):
    """A model or models on disk."""

    environment: dict[str, str]
    """Of the server: where they are."""
    names: Sequence[str] = ()
    """Of many models, as clients ask for them."""


def boosted(folder: Path) -> Made:
    """The XGBoost model of the throughput benchmark: 100 trees, 30 columns."""
    return Made({"SM_MODEL_DIR": str(workload.make(folder).model)})


def many(folder: Path) -> Made:
    """A hundred archives of it."""
    model = workload.make(folder).model
    repository = folder / "repository"
    repository.mkdir()
    names = archives.make(model / "model.ubj", repository, MANY)
    environment = {"SAGEMAKER_MULTI_MODEL": "true", "SERVING_REPOSITORY": str(repository)}
    return Made(environment, names)


def script(folder: Path) -> Made:
    """A script that takes 5 ms."""
    return _of_script(folder, SLOW)


def stream(folder: Path) -> Made:
    """A script that answers 20 chunks, 5 ms apart."""
    return _of_script(folder, STREAM)


def _of_script(folder: Path, text: str) -> Made:
    code = folder / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(text)
    return Made({"SM_MODEL_DIR": str(code.parent)})


def names(model: str) -> list[str]:
    """What the models are called where they are many; else there is nothing to call."""
    return [archives.name(number) for number in range(MANY)] if model == "many" else []


MODELS: dict[str, Callable[[Path], Made]] = {
    "boosted": boosted,
    "many": many,
    "script": script,
    "stream": stream,
}
