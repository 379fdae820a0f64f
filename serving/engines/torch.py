"""PyTorch models: TorchScript, programs of ``torch.export``, and, if allowed, pickled modules."""

import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

from serving.engines import neuron, neuron_manifest
from serving.engines.base import Engine
from serving.errors import ModelLoadError
from serving.model import Model
from serving.problems import catch
from serving.settings import Settings

SUFFIXES = (".pt", ".pth", ".pt2")
ADVICE = (
    "save the model as TorchScript or with torch.export, or bring a code/inference.py with a "
    "model_fn that loads it"
)


def files(folder: Path) -> list[Path]:
    """``model.pt``, or else all ``*.pt``, ``*.pth`` and ``*.pt2``, but for those of Neuron."""
    if (folder / neuron_manifest.NAME).is_file():
        return []
    preferred = folder / "model.pt"
    candidates = [preferred] if preferred.is_file() else sorted(folder.iterdir())
    return [path for path in candidates if path.suffix in SUFFIXES and not neuron.traced(path)]


def load(paths: list[Path], settings: Settings) -> Model:
    """A model of one file, in whichever of the three formats it is.

    Raises:
        ModelLoadError: there are several files, or the file has none of these formats, or is a
            pickle while the settings do not allow those.
        ImportError: PyTorch is not installed.
    """
    if len(paths) > 1:
        raise ModelLoadError(
            "Exactly one .pt, .pth or .pt2 file makes a PyTorch model; there are "
            f"{', '.join(path.name for path in paths)}. Name the one to serve model.pt."
        )
    import torch

    from serving.engines import torch_formats

    torch.set_num_threads(settings.model_threads)
    path = paths[0]
    members = _members(path)
    if "constants.pkl" in members:
        return torch_formats.scripted(path, settings)
    if "archive_format" in members or "serialized_exported_program.json" in members:
        return torch_formats.exported(path, settings)
    module = torch_formats.prepared(_unpickle(path, settings), settings)
    return torch_formats.of_module(module, settings)


def _members(path: Path) -> set[str]:
    """Names in an archive, without the folder that all of them are in."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2] for name in archive.namelist()}


def _unpickle(path: Path, settings: Settings) -> Any:
    """The ``torch.nn.Module`` in a file of ``torch.save``."""
    import torch

    value = catch(torch.load, path, map_location="cpu", weights_only=True)
    if isinstance(value, pickle.UnpicklingError) and _may_be_module(path):
        # Weights alone would have loaded. What is left is objects of classes.
        if not settings.allow_pickle:
            raise ModelLoadError(
                f"{path.name} is a Python pickle, which runs code when it is loaded: {ADVICE}. "
                "If you made the file yourself, SERVING_ALLOW_PICKLE=true loads it as it is."
            )
        value = catch(torch.load, path, map_location="cpu", weights_only=False)
    if isinstance(value, torch.nn.Module):
        return value
    if not isinstance(value, BaseException):
        raise ModelLoadError(f"{path.name} has a model's weights, but not its code: {ADVICE}.")
    reason = f"{type(value).__name__}: {str(value).partition('. ')[0]}"
    raise ModelLoadError(
        f"{path.name} is no PyTorch model that loads ({reason}): {ADVICE}."
    ) from value


def _may_be_module(path: Path) -> bool:
    """Whether a pickle is one of an object, and not of a dictionary such as a checkpoint.

    Files from before PyTorch 1.6, which are no archives, are not looked into.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return file.read(1) == pickle.PROTO
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        operations = pickletools.genops(archive.read(name)) if name else iter(())
    first = next((code for code, _, _ in operations if code.name not in ("PROTO", "FRAME")), None)
    return first is not None and "GLOBAL" in first.name


ENGINE = Engine(name="torch", extra="torch", library="torch", files=files, load=load)
