"""What the tests of compilation share."""

from pathlib import Path

import pytest

from serving.compilation import timing


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures no longer than it has to."""
    monkeypatch.setattr(timing, "SECONDS", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    return folder
