"""A model's process, from its start to the end of all that it has started."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeSettings
from tests.processes.support import OBEDIENT, Loaded, Subject, launching, write_model


@pytest.fixture
def loaded(tmp_path: Path, make_settings: MakeSettings) -> Loaded:
    @asynccontextmanager
    async def load(script: str = OBEDIENT, **given: Any) -> AsyncIterator[Subject]:
        folder = write_model(tmp_path / "m", script)
        async with launching() as launcher:
            yield await Subject(folder, make_settings(**given), launcher).load()

    return load
