"""The example that containers serve, and what answers it."""

from collections.abc import Callable
from pathlib import Path

from serving.values import Request
from tests.support import Answer

NAME = "xgboost_tabular"
FOLDER = Path(__file__).parents[2] / "inference_scripts" / NAME
LINES, DOCUMENT = FOLDER / "request.csv", FOLDER / "request.json"
"""The requests beside it."""

Trained = Callable[[str], Path]
"""Trains the example of that name, and gives its model directory."""

InProcess = Callable[[Path, Request], Answer]
"""What a model answers without a server and a container."""
