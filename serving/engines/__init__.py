"""From a model directory to a Model: recognise its engine, load it, let its script override."""

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from serving.engines import programs
from serving.engines.base import CONVERTED, LIBXGBOOST, Engine
from serving.errors import ModelLoadError
from serving.model import Model
from serving.problems import catch
from serving.settings import Settings

# ONNX Runtime's wheels report to their maker, from a thread of their own, unless they are told not
# to. Said here it holds whoever imports them: an engine, a script, or a process made for one.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class Known(NamedTuple):
    """An engine that is imported when a directory has a file which may be for it."""

    name: str
    endings: tuple[str, ...]
    """Of the names of such files."""
    engine: Callable[[], Engine]
    bare: bool = False
    """Whether names without a suffix are such names too."""

    def may_know(self, file: Path) -> bool:
        """Whether the engine has to look at a file to know whether it is for it."""
        return file.name.endswith(self.endings) or (self.bare and not file.suffix)


def _xgboost() -> Engine:
    from serving.engines import xgboost

    return xgboost.ENGINE


def _onnx() -> Engine:
    from serving.engines import onnx

    return onnx.ENGINE


def _torch() -> Engine:
    from serving.engines import torch

    return torch.ENGINE


def _neuron() -> Engine:
    from serving.engines import neuron

    return neuron.ENGINE


PICKLES = (".pkl", ".pickle", ".joblib")
BOOSTERS = (".ubj", ".xgb", ".bst", ".model", ".json", CONVERTED)
TORCH = (".pt", ".pth", ".pt2")

ENGINES = (
    Known("xgboost", (*BOOSTERS, *PICKLES), _xgboost, bare=True),
    Known("onnx", (".onnx",), _onnx),
    Known("torch", TORCH, _torch),
    Known("neuron", (*TORCH, "neuron.json"), _neuron),
)

FORKABLE = {LIBXGBOOST, "onnxruntime"}
"""Libraries that are whole after a fork, and whose memory processes then share: other than PyTorch
they have no threads before the first model."""

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
    found = programs.find(folder, settings)
    return _scripted(found, folder, settings) if found else _plain(folder, settings)


def _scripted(found: Path, folder: Path, settings: Settings) -> Model:
    # Imported where there is a script: on Lambda, a model without one answers sooner.
    from serving import requirements
    from serving.engines import script

    code = settings.code_folder(folder)
    _extend_path(requirements.site(code, settings.cache))
    hooks = script.load(found, folder, code)
    if hooks.loads_itself:
        return script.override(None, hooks, folder, settings)
    own = replace(settings, default_accept="") if hooks.answers_itself else settings
    return script.override(_plain(folder, own), hooks, folder, settings)


def _plain(folder: Path, settings: Settings) -> Model:
    """The engine's own model."""
    engine, files = recognise(folder, settings)
    try:
        return engine.load(files, settings)
    except ImportError as error:
        engine = _onnx() if error.name == "onnxruntime" else engine  # of a converted booster
        raise ModelLoadError(
            f"{files[0].name} needs the {engine.name} engine, which is not installed ({error}); "
            f"install it with: pip install 'hybrid-serving[{engine.extra}]'."
        ) from error


def prepare(folder: Path, settings: Settings) -> None:
    """Import the libraries that a model directory needs, if it is known which, and are there."""
    with suppress(ModelLoadError, OSError):
        scripted = programs.find(folder, settings) is not None
        for library in _libraries(folder, settings, scripted=scripted):
            with suppress(ImportError):
                importlib.import_module(library)


def share(folder: Path, settings: Settings) -> None:
    """Import before a fork what `prepare` would after it, where the processes can share that.

    A script may bring other versions of the libraries. What cannot be imported is not told here:
    loading the model fails by it, and says so.
    """
    with suppress(ModelLoadError, OSError):
        if programs.find(folder, settings) is None:
            libraries = _libraries(folder, settings, scripted=False)
            for library in FORKABLE.intersection(libraries):
                catch(importlib.import_module, library)


def _libraries(folder: Path, settings: Settings, *, scripted: bool) -> list[str]:
    """What predicts: for boosters that are converted too, both or the one that is wanted."""
    engine, files = recognise(folder, settings)
    own = [engine.library, engine.package] if scripted and engine.package else [engine.library]
    converted = [path for path in files if path.name.endswith(CONVERTED)]
    if not converted:
        return own
    other, wanted = _onnx(), settings.engine
    if wanted == other.name or len(converted) == len(files):
        return [other.library]
    return own if wanted == engine.name else [*own, other.library]


def _extend_path(site: Path | None) -> None:
    """Let scripts import their requirements first, and stand-ins for AWS's toolkits last."""
    from serving import compat

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
    if wanted and wanted not in (names := [known.name for known in ENGINES]):
        raise ModelLoadError(f"SERVING_ENGINE={wanted!r} is none of {', '.join(names)}.")
    present = sorted(path for path in folder.iterdir() if path.is_file())
    engines = [
        known.engine()
        for known in ENGINES
        if wanted in ("", known.name) and any(map(known.may_know, present))
    ]
    found = [(engine, files) for engine in engines if (files := engine.files(folder))]
    if not found and wanted == "onnx" and any(path.name.endswith(CONVERTED) for path in present):
        boosted = _xgboost()  # ONNX Runtime predicts, and the XGBoost engine answers
        found = [(boosted, boosted.files(folder))]
    if not found and (pickles := [path for path in present if path.suffix in PICKLES]):
        found = [(_xgboost(), pickles)]
    if not found:
        names = sorted(path.name for path in folder.iterdir())
        knows = f"{RECOGNISED}; SERVING_ENGINE asks for {wanted}" if wanted else RECOGNISED
        raise ModelLoadError(
            f"{folder} has no model this server knows. It knows {knows}, and "
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
