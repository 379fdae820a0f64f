"""Files into boosters, whichever of XGBoost's formats they have."""

import pickle
import re
from pathlib import Path

from serving.engines import libxgboost, ubjson
from serving.engines.libxgboost import Booster
from serving.errors import ModelLoadError
from serving.settings import Settings

_PLACE = re.compile(r"\[\S+\] \S+:\d+: (Check failed: .*?: )?")
"""Begins a message of the library: the time, the line in its source, and the failed condition."""


def read(path: Path, settings: Settings) -> Booster:
    """The booster in a file.

    Raises:
        ModelLoadError: it is damaged, of a format this version of the library has dropped, or a
            pickle and pickles are not allowed.
    """
    content = path.read_bytes()
    # A pickle, of protocol 2 or later, begins with this byte; no format of the library does.
    if content.startswith(b"\x80"):
        return _unpickled(path, content, settings)
    try:
        if not content or content.startswith(b"{L"):
            ubjson.check(content)  # the library does not survive a file that was cut
        # From memory, since the library goes by the content there and by the name in a file.
        return Booster.read(content)
    except ValueError as error:
        raise ModelLoadError(
            f"{path.name} is damaged or of a format that XGBoost {libxgboost.version()} does not "
            f"read ({reason(error)}). It reads the JSON and UBJSON that save_model writes."
        ) from error


def _unpickled(path: Path, content: bytes, settings: Settings) -> Booster:
    if not settings.allow_pickle:
        raise ModelLoadError(
            f"{path.name} is a Python pickle, and loading one runs the code in it. Save the model "
            f"with its save_model method, or allow pickles with SERVING_ALLOW_PICKLE=true."
        )
    import xgboost

    try:
        model = pickle.loads(content)  # noqa: S301 - allowed by the setting
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError) as error:
        raise ModelLoadError(f"{path.name} cannot be unpickled: {error}.") from error
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if not isinstance(booster, xgboost.Booster):
        raise ModelLoadError(f"{path.name} is a pickle of {type(model).__name__}, no booster.")
    return Booster(booster)


def reason(error: BaseException) -> str:
    """The sentence in a message of the library, without the places in its source around it."""
    lines = str(error).strip().splitlines()
    return _PLACE.sub("", lines[0]) if lines else type(error).__name__
