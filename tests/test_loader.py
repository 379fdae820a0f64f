"""Models: loading, ready, failed, broken, and what each says."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import engines
from serving.call import Reply
from serving.entry import Entry, State
from serving.errors import (
    ArchiveError,
    DeviceLost,
    InsufficientStorage,
    ModelLoadError,
    ModelNotReady,
    SettingError,
)
from serving.gpu import Gpu, Gpus
from serving.loader import Loader
from serving.model import Model
from serving.service import Service, Tools
from serving.settings import Settings
from serving.values import Request
from tests.conftest import MakeSettings
from tests.support import PATIENCE, Fake, Recorder, Run, post

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


@pytest.fixture
def load(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Begins to load a model, or what fails to load."""
    loadings: list[Loading] = []

    def begin(outcome: Callable[[], Model] | BaseException, **given: Any) -> Loading:
        def load_model(folder: Path, _settings: Settings) -> Model:
            assert folder == FOLDER
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome()

        monkeypatch.setattr(engines, "load", load_model)
        loadings.append(Loading(make_settings(**given)))
        return loadings[-1]

    yield begin
    for loading in loadings:
        loading.entry.close()


def test_a_model_is_loaded_in_a_thread_and_says_so_meanwhile(run: Run, load: Load) -> None:
    async def scenario() -> None:
        gate, threads = threading.Event(), set()

        def slow() -> Model:
            threads.add(threading.get_ident())
            assert gate.wait(PATIENCE)
            return Fake().model()

        loading = load(slow)
        entry = loading.entry
        assert (entry.name, entry.folder, entry.state) == ("one", FOLDER, State.LOADING)
        for ask in (entry.use, entry.check):
            with pytest.raises(ModelNotReady, match=r"^The model is loading from /models/one\.$"):
                ask()
        gate.set()
        await loading.changed()
        assert threading.get_ident() not in threads
        assert (loading.heard, loading.threads) == ([State.READY], {threading.get_ident()})
        entry.check()

    run(scenario())


def test_a_model_that_takes_too_long_to_load_has_failed_until_it_is_there(
    run: Run, load: Load
) -> None:
    async def scenario() -> None:
        gate = threading.Event()

        def slow() -> Model:
            assert gate.wait(PATIENCE)
            return Fake().model()

        loading = load(slow, startup_timeout=0.001)
        await loading.changed()
        with pytest.raises(ModelNotReady, match=r"^The model has not loaded within 0\.001 s\.$"):
            loading.entry.check()
        gate.set()
        await loading.changed()
        assert loading.heard == [State.FAILED, State.READY]
        loading.entry.check()

    run(scenario())


def test_a_model_that_is_ready_answers(run: Run, load: Load) -> None:
    async def scenario() -> None:
        fake = Fake()
        loading = load(lambda: fake.model(sample=np.ones((1, 1)), merge_key=""))
        await loading.changed()
        assert fake.calls
        assert loading.entry.engine == "fake"
        reply = Recorder()
        loading.entry.use().handle(post(b"4"), reply)
        assert (await reply.answer()).body == b"8\n"

    run(scenario())


@pytest.mark.parametrize(
    "error", [ModelLoadError("It is cut."), SettingError("No."), ArchiveError("Gone.")]
)
def test_what_the_operator_has_to_change_is_said_without_a_traceback(
    run: Run, load: Load, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def scenario() -> None:
        loading = load(error)
        await loading.changed()
        assert loading.heard == [State.FAILED]
        for ask in (loading.entry.use, loading.entry.check):
            with pytest.raises(ModelNotReady) as refusal:
                ask()
            assert str(refusal.value) == f"The model failed to load: {error}"

    run(scenario())
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(error) in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize(
    "error", [KeyError("weights"), SystemExit(1), MemoryError(), PermissionError(13, "Denied")]
)
def test_any_other_error_is_said_with_its_type_and_logged_with_its_traceback(
    run: Run, load: Load, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    async def scenario() -> None:
        loading = load(error)
        await loading.changed()
        assert loading.heard == [State.FAILED]
        with pytest.raises(ModelNotReady) as refusal:
            loading.entry.check()
        assert str(refusal.value) == f"The model failed to load: {type(error).__name__}: {error}"

    run(scenario())
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA error: out of memory")])
def test_a_model_for_which_there_is_no_memory_is_insufficient_storage(
    run: Run, load: Load, error: BaseException
) -> None:
    async def scenario() -> None:
        loading = load(error)
        await loading.changed()
        told = loading.entry.error
        assert isinstance(told, InsufficientStorage)
        assert str(told) == (
            "There is no memory for model one. The model failed to load: "
            f"{type(error).__name__}: {error}"
        )
        assert told.__cause__ is None  # its frames would hold what was loaded

    run(scenario())


def test_the_cause_of_a_failed_load_is_logged(
    run: Run, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    error = ModelLoadError("model_fn failed.")
    error.__cause__ = ZeroDivisionError("in the script")

    async def scenario() -> None:
        await load(error).changed()

    run(scenario())
    assert "in the script" in caplog.text


def test_a_model_that_cannot_answer_its_warm_up_has_failed(run: Run, load: Load) -> None:
    async def scenario() -> None:
        fake = Fake()
        loading = load(lambda: fake.model(sample=-np.ones((1, 1))))
        await loading.changed()
        with pytest.raises(ModelNotReady, match="loads but cannot answer: ValueError: a negative"):
            loading.entry.use()

    run(scenario())


def test_a_model_whose_prediction_hangs_is_broken_and_answers_still(run: Run, load: Load) -> None:
    async def scenario() -> None:
        fake = Fake(held=True)
        loading = load(fake.model, request_timeout=0.02)
        await loading.changed()
        service = loading.entry.use()
        replies = [Recorder(), Recorder()]
        for reply in replies:
            service.handle(post(b"1"), reply)
            fake.began()
            await loading.changed()
        with pytest.raises(ModelNotReady, match=r"did not return within 0\.02 s"):
            loading.entry.check()
        assert loading.heard == [State.READY, State.BROKEN, State.BROKEN]
        assert loading.entry.use() is service
        fake.release(2)
        assert [(await reply.answer()).status for reply in replies] == [200, 200]

    run(scenario())


LOST = DeviceLost("The model failed: CUDA error: device-side assert triggered")


async def submit(entry: Entry, *bodies: bytes) -> list[int]:
    """The statuses of the answers to requests that come together."""
    replies = [Recorder() for _ in bodies]
    for body, reply in zip(bodies, replies, strict=True):
        entry.use().handle(post(body), reply)
    return [(await reply.answer()).status for reply in replies]


@pytest.mark.parametrize("facts", [{"foreign": frozenset({"predict"})}, {"devices": ("cuda:0",)}])
def test_a_model_that_loses_its_device_is_broken(
    run: Run, load: Load, caplog: pytest.LogCaptureFixture, facts: dict[str, Any]
) -> None:
    async def scenario() -> None:
        fake = Fake()
        fake.failure = LOST
        loading = load(lambda: fake.model(**facts))
        await loading.changed()
        assert await submit(loading.entry, b"1") == [200]
        loading.entry.check()
        assert await submit(loading.entry, b"-1", b"-2") == [500, 500]
        with pytest.raises(ModelNotReady, match=r"^The model failed: CUDA error: device-side"):
            loading.entry.check()
        assert loading.heard == [State.READY, State.BROKEN]

    run(scenario())
    said = [record for record in caplog.records if "cannot answer any more" in record.getMessage()]
    assert len(said) == 1


@pytest.mark.parametrize("stage", ["decode", "encode"])
def test_whichever_of_a_scripts_functions_finds_out(run: Run, load: Load, stage: str) -> None:
    def lose(*_: object) -> Any:
        raise LOST

    async def scenario() -> None:
        functions: dict[str, Any] = {stage: lose}
        loading = load(lambda: Fake().model(stage, **functions))
        await loading.changed()
        assert await submit(loading.entry, b"1") == [500]
        assert loading.entry.state is State.BROKEN

    run(scenario())


def test_a_model_on_the_cpu_has_no_device_to_lose(run: Run, load: Load) -> None:
    async def scenario() -> None:
        fake = Fake()
        loading = load(fake.model)
        await loading.changed()
        service = loading.entry.use()
        assert isinstance(service, Service)
        assert service.model.predict == fake.predict

    run(scenario())


def test_a_model_that_comes_when_the_loop_is_closed_is_dropped(run: Run, load: Load) -> None:
    gate = threading.Event()

    def late() -> Model:
        assert gate.wait(PATIENCE)
        return Fake().model()

    loadings: list[Loading] = []

    async def scenario() -> None:
        loadings.append(load(late))

    run(scenario())
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "load-one":
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert loadings[0].heard == []


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
def test_a_process_that_uses_the_gpu_has_taken_what_was_taken_of_it(
    run: Run, make_settings: MakeSettings, tmp_path: Path, on_gpu: bool, taken: int
) -> None:
    async def scenario() -> None:
        apart = Apart(make_settings(), tmp_path, Process(on_gpu=on_gpu))
        apart.used += 300
        apart.settled("")
        entry = apart.entry
        assert (entry.state, entry.bytes) == (State.READY, 1000)
        assert (entry.gpu_bytes, entry.on_gpu) == (taken, on_gpu)

    run(scenario())


@pytest.mark.parametrize(
    ("starved", "kind", "message"),
    [
        (True, InsufficientStorage, "There is no memory for model one. It is full."),
        (False, ModelLoadError, "It is full."),
    ],
)
def test_a_process_says_when_it_had_no_memory_for_the_model(
    run: Run,
    make_settings: MakeSettings,
    tmp_path: Path,
    starved: bool,
    kind: type[Exception],
    message: str,
) -> None:
    async def scenario() -> None:
        apart = Apart(make_settings(), tmp_path, Process(starved=starved))
        apart.settled("It is full.")
        error = apart.entry.error
        assert (type(error), str(error)) == (kind, message)
        assert (apart.entry.state, apart.entry.gpu_bytes) == (State.FAILED, 0)

    run(scenario())
