"""What multi-model-server runs for a model: XGBoost, and no more around it than it takes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xgboost


class Model:
    """A model in its process; the server finds the class, and knows its two methods."""

    _booster: xgboost.Booster

    def initialize(self, context: Any) -> None:
        """Load the only file that the model has."""
        (file,) = Path(context.system_properties["model_dir"]).iterdir()
        self._booster = xgboost.Booster({"nthread": 1}, model_file=file)

    def handle(self, requests: Sequence[dict[str, Any]], _context: Any) -> list[str]:
        """A prediction a line, for the rows of each request."""
        return [self._predict(bytes(request["body"])) for request in requests]

    def _predict(self, lines: bytes) -> str:
        rows = np.loadtxt(io.BytesIO(lines), np.float32, delimiter=",", ndmin=2)
        return "".join(f"{prediction!s}\n" for prediction in self._booster.inplace_predict(rows))
