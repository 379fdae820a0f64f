"""What is imported before the fork, so that the workers share its memory."""

import importlib
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from serving import engines
from serving.engines.base import LIBXGBOOST
from tests.conftest import MakeSettings
from tests.models import SCRIPT, stump
from tests.support import environment


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


def test_the_library_of_a_booster_is_shared(
    booster: Path, imported: list[str], make_settings: MakeSettings
) -> None:
    engines.share(booster, make_settings())
    assert imported == [LIBXGBOOST]


@pytest.mark.parametrize(("name", "shared"), [("model.onnx", ["onnxruntime"]), ("model.pt", [])])
def test_a_library_that_has_threads_is_not(
    tmp_path: Path,
    imported: list[str],
    make_settings: MakeSettings,
    name: str,
    shared: list[str],
) -> None:
    (tmp_path / name).touch()
    engines.share(tmp_path, make_settings())
    assert imported == shared


def test_what_is_shared_has_none_and_reports_to_nobody() -> None:
    code = """
    import importlib, os, numpy
    from serving import engines
    before = os.listdir("/proc/self/task")  # NumPy's linear algebra may have some
    for library in engines.FORKABLE:
        importlib.import_module(library)
    assert os.listdir("/proc/self/task") == before
    """
    subprocess.run([sys.executable, "-c", dedent(code)], env=environment(), check=True)


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
    assert imported == [LIBXGBOOST, "xgboost"]


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
    assert tried == [LIBXGBOOST]
