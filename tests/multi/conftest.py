"""Models in folders, and processes that serve many."""

import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeSettings
from tests.models import classes, stump
from tests.multi.support import Many, ManyOf


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository of one directory, one archive in a folder, and one that is broken."""
    root = tmp_path / "models"
    (root / "stump").mkdir(parents=True)
    stump().save_model(root / "stump" / "model.json")
    (root / "team").mkdir()
    (tmp_path / "xgboost-model").write_bytes(classes().save_raw("ubj"))
    with tarfile.open(root / "team" / "classes.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "xgboost-model", "xgboost-model")
    (root / "broken.tar.gz").write_bytes(b"no archive")
    return root


@pytest.fixture
def many(make_settings: MakeSettings, models: Path, tmp_path: Path) -> ManyOf:
    @asynccontextmanager
    async def start(
        registered: Mapping[str, str] | None = None, **given: Any
    ) -> AsyncIterator[Many]:
        common = {"repository": str(models), "cache": tmp_path / "cache", "repository_seconds": 0.0}
        many = Many(make_settings(**common, **given), registered or {})
        try:
            yield many
        finally:
            many.close()

    return start
