"""PyTorch models compiled for NeuronCores, once for each number of rows that they are to take.

A compiled model takes one shape only, so there is a file for each of a few numbers of rows; the
``neuron`` engine fills rows up to the next. See ``serving.engines.neuron``.
"""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from serving import engines
from serving.compilation import folders, samples
from serving.compilation.samples import Arrays
from serving.engines import neuron, neuron_manifest, programs, script, torch
from serving.errors import ModelLoadError
from serving.model import Tensor
from serving.problems import catch
from serving.settings import Settings
from serving.values import Request


class Compiled(NamedTuple):
    """What was made."""

    folder: Path
    files: tuple[str, ...]
    """The compiled models in it, by the rows they take."""
    code: bool
    """Whether the script came along."""


def compile_model(
    folder: Path,
    output: Path,
    settings: Settings,
    *,
    sample: Path,
    sizes: Sequence[int],
    target: str = "",
) -> Compiled:
    """Make a model directory for Neuron of one that the torch engine or a ``model_fn`` loads.

    What else is in the directory is copied. A script that loads the model itself is not, since it
    would load another.

    Args:
        folder: The model directory.
        output: The directory to make.
        settings: How the model is loaded.
        sample: The body of a request, whose suffix says what it is; its rows are traced.
        sizes: Numbers of rows.
        target: What to compile for, ``inf2`` or ``trn1``, on a machine without NeuronCores; empty:
            this machine's.

    Raises:
        SettingError: there is an output already, or the sample does not fit the model.
        ModelLoadError: the model does not load, takes no arrays, or cannot be compiled;
            torch_neuronx is not installed.
    """
    folders.check(folder, output)
    neuronx = neuron.library("serving compile --neuron")
    module, arrays = _loaded(folder, settings, samples.request(sample))
    options = {"compiler_args": f"--target {target}", "cpu_backend": True} if target else {}
    trace = partial(neuronx.trace, module, **options)
    code = not _loads_itself(folder, settings)
    buckets = {size: f"model_b{size}.pt" for size in sorted(sizes)}
    inputs = tuple(
        Tensor(name, str(array.dtype), (None, *array.shape[1:])) for name, array in arrays.items()
    )
    left_out = ["*" + suffix for suffix in torch.SUFFIXES] + ([] if code else [programs.FOLDER])
    with folders.copied(folder, output, left_out) as place:
        for size, name in buckets.items():
            _save(trace, arrays, size, place / name)
        neuron_manifest.write(neuron_manifest.Manifest(inputs, buckets), place)
    return Compiled(output, tuple(buckets.values()), code and (output / programs.FOLDER).is_dir())


def _loaded(folder: Path, settings: Settings, request: Request) -> tuple[Any, Arrays]:
    """The module of a model directory, and what it gets of a request."""
    model = engines.load(folder, settings)
    if model.engine == neuron.ENGINE.name:
        raise ModelLoadError(f"{folder} is compiled for Neuron already.")
    import torch

    module = model.native.model() if model.native else None
    if not isinstance(module, torch.nn.Module):
        raise ModelLoadError(f"{folder} has a {model.engine} model; Neuron runs PyTorch's.")
    return module.cpu(), samples.arrays(request, model, folder)


def _save(trace: Any, arrays: Arrays, size: int, path: Path) -> None:
    """Compile for so many rows: those of the arrays, as often as it takes."""
    import torch

    rows = [
        torch.from_numpy(np.resize(array, (size, *array.shape[1:]))) for array in arrays.values()
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        outcome = catch(lambda: torch.jit.save(trace(tuple(rows)), str(path)))
    if isinstance(outcome, BaseException):
        reason = str(outcome).strip().partition("\n")[0]
        raise ModelLoadError(
            f"The model cannot be compiled for {size} rows: {type(outcome).__name__}: {reason}"
        ) from outcome


def _loads_itself(folder: Path, settings: Settings) -> bool:
    program = programs.find(folder, settings)
    return program is not None and script.load(program, folder).loads_itself
