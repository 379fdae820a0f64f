"""A model is loaded in a thread, or has failed with a reason."""

import asyncio
import logging
import threading

import numpy as np
import pytest

from serving.entry import State
from serving.errors import (
    ArchiveError,
    InsufficientStorage,
    ModelLoadError,
    ModelNotReady,
    SettingError,
)
from serving.model import Model
from tests.conftest import LOOPS, NewLoop
from tests.loader.support import FOLDER, Load, Loading
from tests.support import PATIENCE, Fake, Recorder, post


async def test_a_model_is_loaded_in_a_thread_and_says_so_meanwhile(load: Load) -> None:
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


async def test_a_model_that_takes_too_long_to_load_has_failed_until_it_is_there(load: Load) -> None:
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


async def test_a_model_that_is_ready_answers(load: Load) -> None:
    fake = Fake()
    loading = load(lambda: fake.model(sample=np.ones((1, 1)), merge_key=""))
    await loading.changed()
    assert fake.calls
    assert loading.entry.engine == "fake"
    reply = Recorder()
    loading.entry.use().handle(post(b"4"), reply)
    assert (await reply.answer()).body == b"8\n"


@pytest.mark.parametrize(
    "error", [ModelLoadError("It is cut."), SettingError("No."), ArchiveError("Gone.")]
)
async def test_what_the_operator_has_to_change_is_said_without_a_traceback(
    load: Load, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    loading = load(error)
    await loading.changed()
    assert loading.heard == [State.FAILED]
    for ask in (loading.entry.use, loading.entry.check):
        with pytest.raises(ModelNotReady) as refusal:
            ask()
        assert str(refusal.value) == f"The model failed to load: {error}"

    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(error) in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize(
    "error", [KeyError("weights"), SystemExit(1), MemoryError(), PermissionError(13, "Denied")]
)
async def test_any_other_error_is_said_with_its_type_and_logged_with_its_traceback(
    load: Load, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    loading = load(error)
    await loading.changed()
    assert loading.heard == [State.FAILED]
    with pytest.raises(ModelNotReady) as refusal:
        loading.entry.check()
    assert str(refusal.value) == f"The model failed to load: {type(error).__name__}: {error}"

    assert "Traceback" in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA error: out of memory")])
async def test_a_model_for_which_there_is_no_memory_is_insufficient_storage(
    load: Load, error: BaseException
) -> None:
    loading = load(error)
    await loading.changed()
    told = loading.entry.error
    assert isinstance(told, InsufficientStorage)
    assert str(told) == (
        "There is no memory for model one. The model failed to load: "
        f"{type(error).__name__}: {error}"
    )
    assert told.__cause__ is None  # its frames would hold what was loaded


async def test_the_cause_of_a_failed_load_is_logged(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    error = ModelLoadError("model_fn failed.")
    error.__cause__ = ZeroDivisionError("in the script")

    await load(error).changed()

    assert "in the script" in caplog.text


async def test_a_model_that_cannot_answer_its_warm_up_has_failed(load: Load) -> None:
    fake = Fake()
    loading = load(lambda: fake.model(sample=-np.ones((1, 1))))
    await loading.changed()
    with pytest.raises(ModelNotReady, match="loads but cannot answer: ValueError: a negative"):
        loading.entry.use()


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_a_model_that_comes_when_the_loop_is_closed_is_dropped(
    new_loop: NewLoop, load: Load
) -> None:
    gate = threading.Event()

    def late() -> Model:
        assert gate.wait(PATIENCE)
        return Fake().model()

    async def begin() -> Loading:
        return load(late)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        loading = runner.run(begin())
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "load-one":
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert loading.heard == []
