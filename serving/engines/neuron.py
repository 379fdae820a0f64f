"""PyTorch models compiled for AWS's Inferentia and Trainium by ``torch_neuronx.trace``.

What that makes is TorchScript with one operator that runs a compiled program on a NeuronCore. It is
loaded without ``map_location`` after ``torch_neuronx`` was imported, takes and gives tensors on the
CPU, and takes one shape only (AWS's "PyTorch NeuronX Tracing API for Inference").
"""

import importlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from serving.engines import buckets, declared, neuron_manifest, rows
from serving.engines.base import Engine
from serving.errors import ModelLoadError
from serving.model import Model
from serving.problems import catch
from serving.settings import Settings

LIBRARY = "torch_neuronx"
SUFFIXES = (".pt", ".pth")

PROGRAM = b"__torch__.torch.classes.neuron."
"""Begins the type of a compiled program in TorchScript's code: ``Model``'s, which torch_neuronx
registers. Without that, ``torch.jit.load`` refuses the file for this name."""

LONGEST_CODE = 64 * 1024 * 1024
"""Bytes of a file's code that are searched for it. A network's code has kilobytes."""

SIZED = re.compile(r".*_b([1-9][0-9]*)")
"""Name of a file that takes so many rows, ``model_b8``."""


def files(folder: Path) -> list[Path]:
    """The manifest that ``serving compile`` writes, or else all files that Neuron runs."""
    manifest = folder / neuron_manifest.NAME
    if manifest.is_file():
        return [manifest]
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and traced(path))


def traced(path: Path) -> bool:
    """Whether a file is TorchScript that Neuron runs. A damaged one is not."""
    return catch(_names_program, path) is True


def _names_program(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    left = LONGEST_CODE
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            inner = item.filename.partition("/")[2]
            if inner.startswith("code/") and inner.endswith(".py") and item.file_size <= left:
                left -= item.file_size
                if PROGRAM in archive.read(item):
                    return True
    return False


def load(paths: list[Path], settings: Settings) -> Model:
    """A model of one file, or of several for different numbers of rows.

    Without a manifest, a file's name says how many rows it takes, ``model_b8.pt``; a single file of
    another name gets bodies as they are. Types and shapes are not known then: JSON and CSV become
    float32, and npy bodies keep their type.

    Raises:
        ModelLoadError: a file is damaged, or cannot run here; torch_neuronx is not installed; or it
            is not known which of several files takes how many rows.
    """
    if paths[0].name == neuron_manifest.NAME:
        manifest = neuron_manifest.read(paths[0])
        named = {size: paths[0].parent / name for size, name in manifest.buckets.items()}
        return _declared(manifest, _modules(named, settings), settings)
    if len(paths) == 1 and not SIZED.fullmatch(paths[0].stem):
        return _scripted(_modules({0: paths[0]}, settings), settings)
    return _scripted(_modules(_by_size(paths), settings), settings)


def library(needed_by: str) -> ModuleType:
    """torch_neuronx. Raises ModelLoadError where it is not installed."""
    try:
        return importlib.import_module(LIBRARY)
    except ImportError as error:
        raise ModelLoadError(
            f"{needed_by} needs {LIBRARY} ({error}), which is in AWS's own package index only; "
            "docs/accelerators.md says how it is installed."
        ) from error


def _by_size(paths: Sequence[Path]) -> dict[int, Path]:
    """The files by the rows that their names say."""
    found = {}
    for path in paths:
        match = SIZED.fullmatch(path.stem)
        if match is None or int(match[1]) in found:
            listing = ", ".join(path.name for path in paths)
            raise ModelLoadError(
                f"There are several Neuron files, {listing}; name each after the rows it takes, "
                f"model_b1.pt and model_b8.pt, or add a {neuron_manifest.NAME}."
            )
        found[int(match[1])] = path
    return found


def _modules(paths: Mapping[int, Path], settings: Settings) -> dict[int, Any]:
    """The modules by their rows. Each is on a NeuronCore when it is loaded."""
    library(next(iter(paths.values())).name)  # before any file: it registers their operator
    import torch

    from serving.engines import torch_formats

    torch.set_num_threads(settings.model_threads)
    return {size: torch_formats.opened(path) for size, path in sorted(paths.items())}


def _declared(
    manifest: neuron_manifest.Manifest, modules: Mapping[int, Any], settings: Settings
) -> Model:
    import torch

    from serving.engines.torch_runner import Runner

    module = _chosen(modules)
    runner = Runner(module, manifest.inputs, torch.device("cpu"))
    call = buckets.padded(runner, modules)
    if not rows.try_out(call, manifest.inputs).independent:
        call = buckets.exact(runner, modules)
    return declared.build(
        ENGINE.name,
        call,
        manifest.inputs,
        (),
        settings,
        device=ENGINE.name,
        native=partial(runner.native, module),
    )


def _scripted(modules: Mapping[int, Any], settings: Settings) -> Model:
    import torch

    from serving.engines import torch_formats

    return torch_formats.of_script(
        next(iter(modules.values())),
        settings,
        where=torch.device("cpu"),
        engine=ENGINE.name,
        module=_chosen(modules),
        wrap=lambda call: call if 0 in modules else buckets.padded(call, modules),
    )


def _chosen(modules: Mapping[int, Any]) -> Any:
    """The only module, or what calls the one for as many rows as the tensors have."""
    if len(modules) == 1:
        return next(iter(modules.values()))
    return lambda *tensors: modules[len(tensors[0])](*tensors)


ENGINE = Engine(name="neuron", extra="torch", library=LIBRARY, files=files, load=load)
