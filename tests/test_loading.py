"""Loading measures what a model takes, and one that fails keeps nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import engines, footprint, loading, warmup
from serving.errors import ModelLoadError
from serving.gpu import Gpus
from serving.model import Model
from serving.problems import catch
from serving.settings import Settings
from tests.support import Fake

MIB = 1024 * 1024
BLOCK = 64 * MIB


@pytest.fixture(autouse=True)
def simple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "prepare", lambda *_: None)
    monkeypatch.setattr(warmup, "measure", lambda _: warmup.UNKNOWN)


def test_a_model_is_measured_though_another_leaves_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, other = [], [np.ones(BLOCK, np.uint8)]

    def load(_folder: Path, _settings: Settings) -> Model:
        kept.append(np.ones(BLOCK, np.uint8))
        other.clear()
        footprint.meter.leaves(BLOCK)
        return Fake().model()

    monkeypatch.setattr(engines, "load", load)
    measured = loading.load(Path("/models/a"), Settings(), Gpus()).bytes
    assert abs(measured - BLOCK) < 16 * MIB


def test_what_a_load_that_fails_has_got_is_free_though_its_error_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(*_arguments: Any) -> Model:
        block = np.ones(BLOCK, np.uint8)
        raise ModelLoadError(f"It is cut after {len(block)} bytes.")

    monkeypatch.setattr(engines, "load", load)
    before = footprint.in_use()
    error = catch(loading.load, Path("/models/a"), Settings(), Gpus())
    assert isinstance(error, ModelLoadError)
    assert error.__traceback__ is not None
    assert footprint.in_use() - before < 16 * MIB
