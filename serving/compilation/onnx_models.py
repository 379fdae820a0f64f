"""ONNX models that are made into others: read, tried, written anew, and timed."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving import engines
from serving.codecs import Outputs
from serving.compilation import folders, samples, timing
from serving.compilation.samples import Arrays
from serving.compilation.timing import Speed, counted
from serving.engines import onnx
from serving.engines.rows import concatenate
from serving.errors import ModelLoadError, ServingError, SettingError
from serving.model import Model
from serving.problems import catch
from serving.settings import Settings
from serving.values import Payload

T = TypeVar("T")

MADE_UP = 64
"""Calls whose inputs are made up."""

BLOCK = 1_000
"""Rows of one call at most, where rows are independent."""

SIZES = (1, 32)
"""Rows of the calls that are timed."""


class Original(NamedTuple):
    """The model of a directory, as it is before."""

    path: Path
    beside: list[Path]
    """Files with its weights."""
    model: Model
    """Without the directory's script."""
    calls: list[Arrays]
    """What it is tried with."""
    source: str
    """What that is called."""

    @property
    def stacks(self) -> bool:
        """Whether rows are independent of each other."""
        return self.model.merge_key is not None

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in (self.path, *self.beside))


def read(folder: Path, settings: Settings, sample: Path | None) -> Original:
    """The ONNX model of a directory.

    Args:
        folder: The model directory.
        settings: How the model is loaded.
        sample: A file with rows to try it with; none: they are made up.

    Raises:
        SettingError: the sample does not fit, or has to be given.
        ModelLoadError: there is no ONNX model, or what writes one is not installed.
    """
    engine, files = engines.recognise(folder, settings)
    if engine.name != onnx.ENGINE.name:
        raise ModelLoadError(
            f"{folder} has a model of the {engine.name} engine ({files[0].name}); this takes ONNX "
            "models."
        )
    beside = _beside(files[0])
    model = onnx.load(files, settings)
    if sample is None:
        return Original(files[0], beside, model, _made_up(model), "the made-up inputs")
    body = samples.request(sample)
    arrays = samples.arrays(body, engines.load(folder, settings), folder)
    names = {tensor.name for tensor in model.inputs}
    if arrays.keys() != names or not all(map(len, arrays.values())):
        raise SettingError(
            f"The sample {sample} has {', '.join(sorted(arrays))}; the model takes one or more "
            f"rows of {', '.join(sorted(names))}."
        )
    calls = [arrays]
    if model.merge_key is not None:
        starts = range(0, len(next(iter(arrays.values()))), BLOCK)
        calls = [_cut(arrays, slice(start, start + BLOCK)) for start in starts]
    return Original(files[0], beside, model, calls, sample.name)


@contextmanager
def written(original: Original, output: Path) -> Iterator[Path]:
    """The directory of a model made anew: the body writes the model's file to the path it gets.

    Raises:
        SettingError: the directory cannot be made.
    """
    folder, name = original.path.parent, original.path.name
    with folders.copied(folder, output, [name]) as place:
        yield place / name
        # ONNX Runtime leaves weights that it did not change where they are.
        needed = {path.relative_to(place) for path in _beside(place / name)}
        for path in {path.relative_to(folder) for path in original.beside} - needed:
            (place / path).unlink()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what is made on the way."""
    with tempfile.TemporaryDirectory(prefix="serving-") as folder:
        yield Path(folder)


def attempt(what: str, step: Callable[[], T]) -> T:
    """What a library's step returns.

    Raises:
        ModelLoadError: the library fails, in whichever way; says why.
    """
    outcome = catch(step)
    if isinstance(outcome, BaseException):
        reason = str(outcome).strip().partition("\n")[0]
        raise ModelLoadError(
            f"The model cannot be {what}: {type(outcome).__name__}: {reason}"
        ) from outcome
    return outcome


def answers(model: Model, calls: Sequence[Arrays], source: str) -> Outputs:
    """What a model answers to all calls, one after the other on the first axis.

    Raises:
        ModelLoadError: the model fails.
    """
    try:
        each = [model.predict(Payload(call, _rows(call))).outputs for call in calls]
    except ServingError as error:
        raise ModelLoadError(f"The model does not answer {source}: {error}") from error
    return concatenate([{name: np.atleast_1d(of) for name, of in one.items()} for one in each])


def compare_speed(original: Original, made: Model) -> list[Speed]:
    """The times of predictions by a model before and after.

    Where rows depend on each other, only those of the calls as they are.
    """
    call = original.calls[0]
    shapes = {counted(_rows(call)): call}
    if original.stacks:
        shapes = {counted(size): _resized(call, size) for size in SIZES}
    models = (original.model, made)
    return [
        Speed(what, *timing.medians([partial(_predict, model, arrays) for model in models]))
        for what, arrays in shapes.items()
    ]


def _predict(model: Model, arrays: Arrays) -> object:
    return model.predict(Payload(arrays, _rows(arrays)))


def _rows(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def _cut(arrays: Arrays, part: slice) -> Arrays:
    return {name: values[part] for name, values in arrays.items()}


def _resized(arrays: Arrays, rows: int) -> Arrays:
    return {name: np.resize(values, (rows, *values.shape[1:])) for name, values in arrays.items()}


def _made_up(model: Model) -> list[Arrays]:
    """Inputs of the shapes that the model is known to answer; the same every time."""
    sample: Mapping[str, NDArray[Any]] | None = model.sample
    if not sample:
        raise SettingError(
            "The shapes of the model's inputs do not say enough to make some up; give a --sample."
        )
    generator = np.random.default_rng(0)
    calls = [
        {name: _varied(values, generator) for name, values in sample.items()}
        for _ in range(MADE_UP)
    ]
    return [concatenate(calls)] if model.merge_key is not None else list(calls)


def _varied(values: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    """Others of the same shape: normal numbers, or such that are safe as indices."""
    kind = values.dtype.kind
    if kind == "f":
        return generator.standard_normal(values.shape).astype(values.dtype)
    return generator.integers(0, 2, values.shape).astype(values.dtype) if kind in "biu" else values


def _beside(path: Path) -> list[Path]:
    """The files in which an ONNX model keeps weights."""
    try:
        import onnx as library
    except ImportError as error:
        raise ModelLoadError(
            f"To make another model of {path.name} needs more than is installed ({error}); "
            "install it with: pip install 'hybrid-serving[edge]'."
        ) from error
    model = attempt("read", lambda: library.load(path, load_external_data=False))
    names = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sorted(path.with_name(name) for name in names)
