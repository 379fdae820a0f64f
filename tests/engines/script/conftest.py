"""What the tests of scripts start from."""

import sys
from collections.abc import Iterator

import pytest

from serving.engines import torch_formats
from serving.model import Model
from serving.settings import Settings
from tests.engines.script.support import Doubler


@pytest.fixture(autouse=True)
def _import_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", sys.path[:])
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if "script" in name or name in ("helper", "inference"):
            del sys.modules[name]


@pytest.fixture
def doubler() -> Model:
    return torch_formats.of_module(Doubler(), Settings())
