"""Boosters in ONNX's format, as ``serving.compilation`` writes them."""

from pathlib import Path
from typing import NamedTuple

from serving.engines import conversion_manifest, onnx
from serving.engines.conversion_manifest import Manifest
from serving.engines.ensemble import Predictor
from serving.errors import ModelLoadError
from serving.settings import Settings

FEATURES, SCORE = "features", "score"
"""The names of the one input, of shape (rows, features), and of the one output."""

OBJECTIVE, CLASSES = "objective", "num_class"
"""Metadata that the file has, as XGBoost names them."""


class Converted(NamedTuple):
    """What the engine has to know of a booster."""

    predict: Predictor
    objective: str
    classes: int
    width: int
    """Features a row."""
    manifest: Manifest | None
    """What it says of its conversion; None where nothing."""


def read(path: Path, settings: Settings, *, spin: bool = True) -> Converted:
    """The booster in a file.

    Args:
        path: The file.
        settings: How many threads it gets.
        spin: Whether its threads may wait busily for the next call.

    Raises:
        ModelLoadError: it is no ONNX model, or not one that was made of a booster.
        ImportError: ONNX Runtime is not installed.
    """
    # ONNX Runtime has trees on the CPU only; a GPU's memory would be taken for nothing.
    session = onnx.open_session(path, settings, spin=spin, gpu=False)
    facts = session.get_modelmeta().custom_metadata_map
    if not {OBJECTIVE, CLASSES} <= facts.keys():
        raise ModelLoadError(
            f"{path.name} was not made of an XGBoost model by this toolkit; name another ONNX "
            "model model.onnx."
        )
    call = onnx.caller(session)
    width = session.get_inputs()[0].shape[1]
    told = facts.get(conversion_manifest.KEY)
    manifest = None if told is None else conversion_manifest.read(told, path.name, width)
    return Converted(
        lambda rows: call({FEATURES: rows})[SCORE],
        facts[OBJECTIVE],
        int(facts[CLASSES]),
        width,
        manifest,
    )
