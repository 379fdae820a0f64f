"""What an engine is."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from serving.model import Model
from serving.settings import Settings

XGBOOST = "xgboost"
"""Name of the engine, and of its library."""

LIBXGBOOST = "serving.engines.libxgboost"
"""The module that has XGBoost's library."""

CONVERTED = ".xgb.onnx"
"""Ends the name of a booster in ONNX's format, which the XGBoost engine serves."""


class Engine(NamedTuple):
    """A library that runs models, and how its models are recognised."""

    name: str
    """What people and SERVING_ENGINE call it."""
    extra: str
    """The extra of hybrid-serving that installs the library."""
    library: str
    """The module that has the library."""
    files: Callable[[Path], list[Path]]
    """The model files of this engine in a model directory, sorted; empty where there are none.

    Looks at names and first bytes only; imports no library.
    """
    load: Callable[[list[Path], Settings], Model]
    """Makes a Model of those files.

    Raises ModelLoadError for a file that cannot be loaded, and ImportError where the library is
    not installed.
    """
    package: str = ""
    """What a script of such a model imports, where that is another module."""
