"""Models that are fetched and loaded when a test lets them, in a registry."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.budget import Budget
from serving.errors import InsufficientStorage, ModelLoadError
from serving.gpu import Gpus
from serving.loader import Loader
from serving.loading import Loaded
from serving.registry import Fetched, Registry
from serving.service import Tools
from serving.settings import Settings
from serving.values import Response
from serving.warmup import UNKNOWN
from tests.support import PATIENCE, Fake, Recorder, post

ROOT = Path("/store")
SIZE = 100
"""Of each model, in memory and on disk, unless a test says otherwise."""

RETURNING = {"stays": True, "returns": True}
"""How a model is opened that was loaded before."""


class Store:
    """Models that are fetched and loaded when a test lets them, and a registry that asks for them.

    The model of a name has its own fake; a name may have an error instead, when it is fetched or
    when it is loaded.
    """

    def __init__(self, settings: Settings, limit: int, gpu: int) -> None:
        loop = asyncio.get_running_loop()
        tools = Tools.of(settings, loop)
        self.budget = Budget(limit)
        self.gpu = Budget(gpu, guess=0.0)
        self.metrics = tools.metrics
        self.broken: list[Any] = []
        self.registry = Registry(
            tools, Loader(tools), self.fetch, self.budget, self.broken.append, self.gpu
        )
        self.fakes: dict[str, Fake] = {}
        self.sizes: dict[str, int] = {}
        self.gpu_sizes: dict[str, int] = {}
        self.gpu_really = gpu  # its memory, whatever the budget
        self.versions: dict[str, int] = {}
        self.unfetched: dict[str, BaseException] = {}
        self.unloaded: dict[str, BaseException] = {}
        self.loads: list[str] = []
        self.used: list[tuple[str, int]] = []
        """Versions of directories that were not let go of yet."""
        self.held: dict[str, threading.Event] = {}
        self.gate = threading.Event()
        self.gate.set()
        self._tools = tools

    def fetch(self, url: str) -> Fetched:
        name = Path(url).name
        assert self.gate.wait(PATIENCE)
        if name in self.unfetched:
            raise self.unfetched[name]
        version = self.versions.get(name, 0)
        self.used.append((name, version))
        return Fetched(ROOT / name, SIZE, version, lambda: self.used.remove((name, version)))

    def load(self, folder: Path, _settings: Settings, _gpus: Gpus) -> Loaded:
        name, gpu_size = folder.name, self.gpu_sizes.get(folder.name, 0)
        self.loads.append(name)
        if name in self.held:
            assert self.held[name].wait(PATIENCE)
        if name in self.unloaded:
            raise self.unloaded[name]
        loaded = [place.gpu_bytes for place in self.registry.places() if place.entry is not None]
        if gpu_size > self.gpu_really - sum(loaded):
            raise ModelLoadError("It does not load.") from RuntimeError("CUDA out of memory.")
        fake = self.fakes.setdefault(name, Fake())
        model = fake.model(devices=("cuda:0" if gpu_size else "cpu",))
        return Loaded(model, UNKNOWN, self.sizes.get(name, SIZE), gpu_size)

    def open(self, name: str, **how: Any) -> "asyncio.Future[BaseException | None]":
        settled: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.registry.open(name, str(ROOT / name), settled.set_result, **how)
        return settled

    def begun(self, name: str) -> "asyncio.Future[BaseException | None]":
        """Opened, and it does not get further before the gate is set."""
        self.gate.clear()
        return self.open(name)

    async def opened(self, *names: str, **how: Any) -> None:
        for name in names:
            assert await asyncio.wait_for(self.open(name, **how), PATIENCE) is None

    async def cut(self, name: str) -> BaseException | None:
        """Opened as one that was loaded before, and cannot be loaded any more."""
        self.unloaded[name] = ModelLoadError("It is cut.")
        return await self.open(name, **RETURNING)

    async def refused(self, name: str, size: int = 10 * SIZE) -> InsufficientStorage:
        """Opened, and too large; the error says so."""
        self.sizes[name] = size
        error = await asyncio.wait_for(self.open(name), PATIENCE)
        assert isinstance(error, InsufficientStorage)
        return error

    def send(self, name: str, body: bytes = b"1") -> Recorder:
        reply = Recorder()
        self.registry.ask(name, post(body), reply)
        return reply

    async def ask(self, name: str, body: bytes = b"1") -> Response:
        return await self.send(name, body).answer()

    def unloading(self, name: str) -> asyncio.Event:
        """Set when the model has gone."""
        gone = asyncio.Event()
        self.registry.unload(name, gone.set)
        return gone

    async def unload(self, name: str) -> None:
        await asyncio.wait_for(self.unloading(name).wait(), PATIENCE)

    @property
    def names(self) -> list[str]:
        """Least recently used first."""
        return [place.name for place in self.registry.places()]

    def close(self) -> None:
        self.registry.close()
        self._tools.decoder.close()


StoreOf = Callable[..., Store]


async def until(happened: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not happened():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(poll(), PATIENCE)
