"""Models in processes of their own."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.call import Reply
from serving.entry import State
from serving.errors import InsufficientStorage, ModelLoadError
from serving.gpu import Gpu, Gpus
from serving.loader import Loader
from serving.service import Tools
from serving.settings import Settings
from serving.values import Request
from tests.conftest import MakeSettings


class Process:
    """A stand-in for a model's own process."""

    engine = "script"

    def __init__(self, *, starved: bool = False, on_gpu: bool = False) -> None:
        self.starved = starved
        self._on_gpu = on_gpu

    def on_gpu(self) -> bool:
        return self._on_gpu

    def handle(self, request: Request, reply: Reply) -> None:
        raise AssertionError((request, reply))

    def memory(self) -> int:
        return 1000

    def finish(self, done: Callable[[], None]) -> None:
        done()

    def close(self) -> None:
        pass


class Apart:
    """A model with a script, whose process settles when a test says so."""

    def __init__(self, settings: Settings, folder: Path, process: Process) -> None:
        self.used = 500
        self.process = process
        self.settled: Callable[[str], None] = lambda _: None
        full = Gpu(5_000, lambda: 4_900)
        gpus = Gpus([full, Gpu(10_000, lambda: self.used)])
        loader = Loader(Tools.of(settings, asyncio.get_running_loop()), self._fork, gpus)
        (folder / "code").mkdir()
        (folder / "code" / "inference.py").touch()
        self.entry = loader.load("one", folder, lambda _: None)

    def _fork(
        self,
        name: str,
        folder: Path,
        *,
        settings: Settings,
        settled: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> Process:
        assert settings.gpu == 1  # which has more memory free
        assert (name, folder.is_dir(), callable(lost)) == ("one", True, True)
        self.settled = settled
        return self.process


@pytest.mark.parametrize(("on_gpu", "taken"), [(True, 300), (False, 0)])
async def test_a_process_that_uses_the_gpu_has_taken_what_was_taken_of_it(
    make_settings: MakeSettings, tmp_path: Path, on_gpu: bool, taken: int
) -> None:
    apart = Apart(make_settings(), tmp_path, Process(on_gpu=on_gpu))
    apart.used += 300
    apart.settled("")
    entry = apart.entry
    assert (entry.state, entry.bytes) == (State.READY, 1000)
    assert (entry.gpu_bytes, entry.on_gpu) == (taken, on_gpu)


@pytest.mark.parametrize(
    ("starved", "kind", "message"),
    [
        (True, InsufficientStorage, "There is no memory for model one. It is full."),
        (False, ModelLoadError, "It is full."),
    ],
)
async def test_a_process_says_when_it_had_no_memory_for_the_model(
    make_settings: MakeSettings,
    tmp_path: Path,
    starved: bool,
    kind: type[Exception],
    message: str,
) -> None:
    apart = Apart(make_settings(), tmp_path, Process(starved=starved))
    apart.settled("It is full.")
    error = apart.entry.error
    assert (type(error), str(error)) == (kind, message)
    assert (apart.entry.state, apart.entry.gpu_bytes) == (State.FAILED, 0)
