"""From a model directory to a Model: recognise its engine, load it, let its script override."""

import importlib
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from serving import compat, requirements
from serving.engines import neuron, onnx, script, torch, xgboost
from serving.engines.base import Engine
from serving.errors import ModelLoadError
from serving.model import Model
from serving.settings import Settings

ENGINES: tuple[Engine, ...] = (xgboost.ENGINE, onnx.ENGINE, torch.ENGINE, neuron.ENGINE)

RECOGNISED = (
    "xgboost-model, *.ubj, *.xgb, *.bst or a booster's *.json (xgboost), *.onnx (onnx), "
    "*.pt, *.pth or *.pt2 (torch, or neuron where Neuron compiled them)"
)


def load(folder: Path, settings: Settings) -> Model:
    """The model in a directory, with its script's functions in place of the engine's.

    Raises:
        ModelLoadError: the directory has no model, several, or one that does not load.
    """
    if not folder.is_dir():
        raise ModelLoadError(f"There is no model directory {folder}.")
    program = script.find(folder, settings)
    code = settings.code_folder(folder)
    if program:
        _extend_path(requirements.site(code, settings.cache))
    hooks = script.load(program, folder, code) if program else None
    if hooks and hooks.loads_itself:
        return script.override(None, hooks, folder, settings)
    engine, files = recognise(folder, settings)
    try:
        answers = hooks and hooks.answers_itself
        model = engine.load(files, replace(settings, default_accept="") if answers else settings)
    except ImportError as error:
        raise ModelLoadError(
            f"{files[0].name} needs the {engine.name} engine, which is not installed ({error}); "
            f"install it with: pip install 'hybrid-serving[{engine.extra}]'."
        ) from error
    return script.override(model, hooks, folder, settings) if hooks else model


def prepare(folder: Path, settings: Settings) -> None:
    """Import the library that a model directory needs, if it is known which and it is there."""
    with suppress(ModelLoadError, ImportError, OSError):
        engine, _ = recognise(folder, settings)
        importlib.import_module(engine.library)


def _extend_path(site: Path | None) -> None:
    """Let scripts import their requirements first, and stand-ins for AWS's toolkits last."""
    if site and str(site) not in sys.path:
        sys.path.insert(0, str(site))
    if str(compat.FOLDER) not in sys.path:
        sys.path.append(str(compat.FOLDER))


def recognise(folder: Path, settings: Settings) -> tuple[Engine, list[Path]]:
    """The engine whose files a model directory has, and those files.

    Raises:
        ModelLoadError: no engine knows a file there, or several do and no setting says which.
    """
    wanted = settings.engine
    if wanted and wanted not in (names := [engine.name for engine in ENGINES]):
        raise ModelLoadError(f"SERVING_ENGINE={wanted!r} is none of {', '.join(names)}.")
    engines = [engine for engine in ENGINES if wanted in ("", engine.name)]
    found = [(engine, files) for engine in engines if (files := engine.files(folder))]
    if not found and (pickles := xgboost.pickles(folder)):
        found = [(xgboost.ENGINE, pickles)]
    if not found:
        names = sorted(path.name for path in folder.iterdir())
        raise ModelLoadError(
            f"{folder} has no model this server knows. It knows {RECOGNISED}, and "
            f"code/{settings.program} with a model_fn. The directory has "
            f"{', '.join(names) or 'nothing in it'}."
        )
    if len(found) > 1:
        listing = "; ".join(f"{engine.name}: {files[0].name}" for engine, files in found)
        raise ModelLoadError(
            f"{folder} has models of several engines ({listing}); say which to load with "
            f"SERVING_ENGINE."
        )
    return found[0]
