"""Loaders, closed in the end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import engines
from serving.model import Model
from serving.settings import Settings
from tests.conftest import MakeSettings
from tests.loader.support import FOLDER, Load, Loading


@pytest.fixture
def load(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Begins to load a model, or what fails to load."""
    loadings: list[Loading] = []

    def begin(outcome: Callable[[], Model] | BaseException, **given: Any) -> Loading:
        def load_model(folder: Path, _settings: Settings) -> Model:
            assert folder == FOLDER
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome()

        monkeypatch.setattr(engines, "load", load_model)
        loadings.append(Loading(make_settings(**given)))
        return loadings[-1]

    yield begin
    for loading in loadings:
        loading.entry.close()
