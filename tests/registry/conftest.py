"""Stores of models, each with a registry."""

from collections.abc import Iterator
from typing import Any

import pytest

from serving import loading
from tests.conftest import MakeSettings
from tests.registry.support import SIZE, Store, StoreOf


@pytest.fixture
def store_of(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreOf]:
    """A store with room for so many models of the usual size."""
    stores: list[Store] = []

    def make(models: float = 100, gpu: int = 0, **given: Any) -> Store:
        settings = make_settings(**{"repository_seconds": 0.0, **given})
        store = Store(settings, int(models * SIZE), gpu)
        stores.append(store)
        monkeypatch.setattr(loading, "load", store.load)
        return store

    yield make
    for store in stores:
        store.close()
