"""Applications whose model is a fake."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from serving import engines
from serving.application import Application
from serving.entry import Entry, State
from serving.model import Model
from tests.application.support import FOLDER, Opened
from tests.conftest import MakeSettings
from tests.support import PATIENCE


@pytest.fixture
def opened(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """An application whose model is loaded, or has failed to load."""

    @asynccontextmanager
    async def open_application(
        outcome: Model | BaseException,
        changed: Callable[[State], None] = lambda _: None,
        **given: Any,
    ) -> AsyncIterator[Application]:
        def load(_folder: Path, _settings: object) -> Model:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(engines, "load", load)
        loop = asyncio.get_running_loop()
        application = Application(make_settings(**given), loop)
        settled = asyncio.Event()

        def change(entry: Entry) -> None:
            settled.set()
            changed(entry.state)

        application.load(FOLDER, change)
        try:
            await asyncio.wait_for(settled.wait(), PATIENCE)
            yield application
        finally:
            application.close()

    return open_application
