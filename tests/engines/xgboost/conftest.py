"""A booster in a directory, loaded."""

from pathlib import Path
from typing import Any

import pytest

from serving import engines
from serving.model import Model
from tests.conftest import MakeSettings
from tests.engines.xgboost.support import Boosters, Load, write


@pytest.fixture
def load(tmp_path: Path, boosters: Boosters, make_settings: MakeSettings) -> Load:
    """Saves a booster under a name and loads the directory."""

    def save_and_load(kind: str = "logistic", name: str = "model.ubj", **given: Any) -> Model:
        write(boosters[kind], tmp_path / name)
        return engines.load(tmp_path, make_settings(**given))

    return save_and_load
