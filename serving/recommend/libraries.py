"""Which inference libraries there are to try: two where XGBoost and ONNX Runtime both can serve.

A package that has no conversion to ONNX gets one for the trials, in a folder that goes afterwards.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from serving import engines, preparing
from serving.compilation import conversion
from serving.engines import booster_files, programs
from serving.engines import libraries as paired
from serving.engines.base import XGBOOST
from serving.errors import ModelLoadError
from serving.recommend.search import Trial
from serving.settings import Settings

VARIABLE = "SERVING_ENGINE"

NAMES = {
    "": "the faster one for each batch",
    XGBOOST: "XGBoost alone",
    "onnx": "ONNX Runtime alone",
}
"""What the variable's values stand for, where a model has both files. The first begins."""


class Choices(NamedTuple):
    """What can be tried."""

    model: str
    """What to serve: a directory, an archive or a URL."""
    values: Sequence[str] = ()
    """Of the variable; none where there is but one library."""
    compiled: bool = False
    """Whether the model was converted for the trials."""
    reason: str = ""
    """Why XGBoost is the only one, if it is."""


def choices(source: str, settings: Settings, scratch: Path) -> Choices:
    """The libraries to try for a model, and the model made such that they can serve it.

    Args:
        source: The model: a directory, an archive or a URL.
        settings: Of the servers that are to be tried.
        scratch: An empty folder.

    Raises:
        ArchiveError: there is no model, or it is refused.
    """
    folder = preparing.model_folder(source, settings)
    settings = preparing.with_code(settings, folder)
    boosters, conversions = _files(folder, settings)
    if not boosters:
        return Choices(source)
    if conversions and _current(boosters, conversions, settings):
        return Choices(source, tuple(NAMES))
    try:
        made = conversion.convert_model(folder, scratch / "compiled", settings, None)
    except ModelLoadError as error:
        return Choices(source, reason=str(error))
    return Choices(str(made.folder), tuple(NAMES), compiled=True)


def told(choices: Choices, leader: Trial, tried: Sequence[Trial], source: str) -> list[str]:
    """Which library won, what the others came to, and how to convert the model if that pays.

    Args:
        choices: What was tried.
        leader: The best.
        tried: All.
        source: The model, as the user named it.
    """
    won = dict(leader.candidate).get(VARIABLE)
    if not choices.values or won not in NAMES:
        return []
    others = [
        f"{NAMES[value]}, {best:,.0f} predictions/s at best"
        if best > 0
        else f"{NAMES[value]}, too slow"
        for value in NAMES
        if value != won and (best := _best(tried, value)) is not None
    ]
    sentences = [f"Inference library: {NAMES[won]}. Tried besides: {'; '.join(others)}."]
    if choices.compiled and won == XGBOOST:
        sentences.append("The model needs no conversion.")
    elif choices.compiled:
        sentences.append(
            "The model was converted for this. Serve what this makes: "
            f"serving compile {source} --onnx -o compiled"
        )
    return sentences


def _files(folder: Path, settings: Settings) -> booster_files.Answering:
    """The boosters that answer, and their conversions; none for other models and for scripts."""
    none = booster_files.Answering([], [])
    if settings.engine or importlib.util.find_spec(XGBOOST) is None:
        return none
    try:
        if programs.find(folder, settings) is not None:
            return none
        engine, files = engines.recognise(folder, settings)
        if engine.name != XGBOOST:
            return none
        return booster_files.answering(files, together=settings.ensemble)
    except ModelLoadError:  # the first trial ends with this error, and with the server's log
        return none


def _current(boosters: Sequence[Path], conversions: Sequence[Path], settings: Settings) -> bool:
    """Whether the conversions in a package can be served."""
    try:
        return bool(paired.counterparts(boosters, conversions, replace(settings, engine="onnx")))
    except (ModelLoadError, ImportError):
        return False


def _best(tried: Sequence[Trial], value: str) -> float | None:
    scores = [each.score for each in tried if dict(each.candidate).get(VARIABLE) == value]
    return max(scores, default=None)
