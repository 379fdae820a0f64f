"""A loader that loads one model, and what it says."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from serving.entry import Entry, State
from serving.loader import Loader
from serving.service import Tools
from serving.settings import Settings
from tests.support import PATIENCE

FOLDER = Path("/models/one")


class Loading:
    """A loader that loads a model; what it says of it is kept."""

    def __init__(self, settings: Settings) -> None:
        loader = Loader(Tools.of(settings, asyncio.get_running_loop()))
        self.heard: list[State] = []
        self.threads: set[int] = set()
        self._changed = asyncio.Event()
        self.entry = loader.load("one", FOLDER, self._change)

    def _change(self, entry: Entry) -> None:
        assert entry is self.entry
        self.heard.append(entry.state)
        self.threads.add(threading.get_ident())
        self._changed.set()

    async def changed(self) -> None:
        await asyncio.wait_for(self._changed.wait(), PATIENCE)
        self._changed.clear()


Load = Callable[..., Loading]
