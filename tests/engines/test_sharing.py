"""What is imported before the fork, so that the workers share its memory."""

import importlib
from pathlib import Path

import pytest

from serving import engines
from tests.conftest import MakeSettings
from tests.models import SCRIPT, stump


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of libraries that are imported, in place of the libraries."""
    found: list[str] = []
    monkeypatch.setattr(importlib, "import_module", found.append)
    return found


@pytest.fixture
def booster(tmp_path: Path) -> Path:
    stump().save_model(tmp_path / "model.ubj")
    return tmp_path


OWN = "serving.engines.libxgboost"


def test_the_library_of_a_booster_is_shared(
    booster: Path, imported: list[str], make_settings: MakeSettings
) -> None:
    engines.share(booster, make_settings())
    assert imported == [OWN]


def test_a_library_that_has_threads_is_not(
    tmp_path: Path, imported: list[str], make_settings: MakeSettings
) -> None:
    (tmp_path / "model.onnx").touch()
    engines.share(tmp_path, make_settings())
    assert imported == []


def test_a_script_may_bring_another_version(
    booster: Path, imported: list[str], make_settings: MakeSettings
) -> None:
    (booster / "code").mkdir()
    (booster / "code" / "inference.py").write_text(SCRIPT)
    engines.share(booster, make_settings())
    assert imported == []


def test_what_its_functions_work_with_is_imported_before_its_memory_is_measured(
    booster: Path, imported: list[str], make_settings: MakeSettings
) -> None:
    (booster / "code").mkdir()
    (booster / "code" / "inference.py").write_text(SCRIPT)
    engines.prepare(booster, make_settings())
    assert imported == [OWN, "xgboost"]


def test_a_directory_without_a_model_is_left_to_those_who_load_it(
    tmp_path: Path, imported: list[str], make_settings: MakeSettings
) -> None:
    engines.share(tmp_path, make_settings())
    engines.share(tmp_path / "missing", make_settings())
    assert imported == []


def test_a_library_that_cannot_be_imported_is_left_to_them_too(
    booster: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def broken(name: str) -> None:
        tried.append(name)
        raise RuntimeError("libxgboost.so is not there")

    monkeypatch.setattr(importlib, "import_module", broken)
    engines.share(booster, make_settings())
    assert tried == [OWN]
