"""The life of a model's process, as far as all goes well or the model is at fault."""

import json
import os
import signal
from pathlib import Path

import pytest

from serving.errors import ModelNotReady
from serving.processes import memory
from tests.conftest import MakeSettings
from tests.processes.support import Loaded, Subject, began, is_there, launching, write_model

pytestmark = pytest.mark.uvloop


async def test_a_model_answers_from_a_process_of_its_own(loaded: Loaded) -> None:
    async with loaded() as subject:
        pid = int(await subject.evaluate("os.getpid()"))
        assert pid == subject.process.pid
        assert pid not in (os.getpid(), subject.launcher.pid)
        assert subject.process.engine == "script"


async def test_why_a_model_does_not_load_is_told_and_its_process_ends(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async with launching() as launcher:
        folder = write_model(tmp_path / "m", "def model_fn(folder): return 1 / 0")
        subject = Subject(folder, make_settings(), launcher)
        reason = await subject.outcome()
        assert reason == (
            "The model failed to load: model_fn failed at inference.py, line 1: "
            "ZeroDivisionError: division by zero"
        )
        with pytest.raises(ModelNotReady, match="division by zero"):
            subject.send("1")
        pid = subject.process.pid
        await subject.finish()
        assert not is_there(pid)
        assert not subject.lost.done()


async def test_a_canary_that_cannot_be_read_fails_the_load(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async with launching() as launcher:
        folder = write_model(tmp_path / "m")
        subject = Subject(folder, make_settings(canary="none.csv"), launcher)
        assert "The model failed to load: SERVING_CANARY='none.csv'" in await subject.outcome()


async def test_a_load_that_never_returns_is_ended(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async with launching() as launcher:
        folder = write_model(
            tmp_path / "m", "import ctypes\nctypes.PyDLL(None).pause()  # with the GIL"
        )
        subject = Subject(folder, make_settings(startup_timeout=0.5), launcher)
        assert await subject.outcome() == "The model has not loaded within 0.5 s."
        await subject.finish()
        assert subject.process.pid == 0


async def test_a_process_that_ends_while_it_loads_is_told(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async with launching() as launcher:
        folder = write_model(tmp_path / "m", "import os\nos._exit(7)")
        subject = Subject(folder, make_settings(), launcher)
        assert await subject.outcome() == "The model's process ended with exit status 7."


@pytest.mark.parametrize(
    ("error", "starved"),
    [
        ("MemoryError()", True),
        ("RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB.')", True),
        ("RuntimeError('no')", False),
    ],
)
async def test_that_there_was_no_memory_for_a_model_is_told(
    tmp_path: Path, make_settings: MakeSettings, error: str, starved: bool
) -> None:
    async with launching() as launcher:
        folder = write_model(tmp_path / "m", f"def model_fn(folder): raise {error}")
        subject = Subject(folder, make_settings(), launcher)
        assert "model_fn failed at inference.py, line 1" in await subject.outcome()
        assert subject.process.starved is starved
        await subject.finish()


async def test_a_process_uses_a_gpu_while_it_or_what_it_started_has_one_open(
    tmp_path: Path, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "nvidia0"
    device.touch()
    monkeypatch.setattr(memory, "GPUS", str(tmp_path / "nvidia"))

    async with loaded() as subject:
        assert not subject.process.on_gpu()
        await subject.evaluate(f"log.append(open({str(device)!r}))")
        assert subject.process.on_gpu()
        await subject.evaluate("log[-2].close()")
        assert not subject.process.on_gpu()
        command = "[sys.executable, '-c', 'input()']"
        pipes = "stdin=subprocess.PIPE"
        await subject.evaluate(
            f"log.append(subprocess.Popen({command}, {pipes}, stdout=open({str(device)!r})))"
        )
        assert subject.process.on_gpu()
        await subject.finish()
        assert not subject.process.on_gpu()


@pytest.mark.parametrize(("visible", "seen"), [("4,7", "7"), ("4", "4")])
async def test_a_process_sees_the_gpu_that_was_chosen_for_its_model(
    tmp_path: Path,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    visible: str,
    seen: str,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    async with launching() as launcher:
        settings = make_settings(gpu=visible.count(","))
        subject = await Subject(write_model(tmp_path / "m"), settings, launcher).load()
        told = await subject.evaluate("__import__('os').environ['CUDA_VISIBLE_DEVICES']")
        assert told == seen


async def test_a_model_that_loads_is_not_asked_yet(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async with launching() as launcher:
        subject = Subject(write_model(tmp_path / "m"), make_settings(), launcher)
        with pytest.raises(ModelNotReady, match="is loading from"):
            subject.send("1")
        await subject.load()


async def test_memory_is_that_of_the_process_and_what_it_started(loaded: Loaded) -> None:
    hungry = "import sys; held = bytes(range(256)) * 200_000; print(flush=True); sys.stdin.read()"

    async with loaded() as subject:
        before = subject.process.memory()
        await subject.evaluate("log.append(bytes(range(256)) * 200_000)")
        own = subject.process.memory()
        assert 50_000_000 < own - before < 60_000_000
        command = f"[sys.executable, '-c', {hungry!r}]"
        pipes = "stdin=subprocess.PIPE, stdout=subprocess.PIPE"
        await subject.evaluate(f"log.append(subprocess.Popen({command}, {pipes}))")
        await subject.evaluate("log[-2].stdout.readline()")
        assert subject.process.memory() - own > 50_000_000
        await subject.finish()
        assert subject.process.memory() == 0


async def test_signals_for_the_server_do_not_end_a_model(loaded: Loaded) -> None:
    async with loaded() as subject:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(subject.launcher.pid, number)
            os.kill(subject.process.pid, number)
        assert os.getpgid(subject.process.pid) == subject.process.pid
        assert await subject.evaluate("1 + 1") == "2"
        # What a script runs can be ended as ever.
        command = "subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)"
        await subject.evaluate(f"log.append({command})")
        assert await subject.evaluate("[log[-2].terminate(), log[-2].wait()]") == "[None, -15]"


async def test_the_log_of_a_model_goes_where_the_servers_does(
    loaded: Loaded, capfd: pytest.CaptureFixture[str]
) -> None:
    script = """
import logging
print("printed")
def model_fn(folder):
    logging.getLogger("mine").warning("logged")
def transform_fn(*arguments):
    return ""
"""

    async with loaded(script, log_format="json") as subject:
        await subject.finish()

    output, errors = capfd.readouterr()
    assert output == "printed\n"
    records = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert [record["message"] for record in records if record["logger"] == "mine"] == ["logged"]


async def test_a_model_is_what_the_kernel_ends_first_where_memory_runs_out(loaded: Loaded) -> None:
    async with loaded() as subject:
        scores = [
            int(Path(f"/proc/{pid}/oom_score_adj").read_text())
            for pid in (subject.process.pid, subject.launcher.pid, "self")
        ]
        assert scores[0] > max(scores[1:])


async def test_a_broken_model_says_so_and_its_process_ends(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async with launching() as launcher:
        folder = write_model(tmp_path / "m")
        settings = make_settings(request_timeout=0.5)
        subject = await Subject(folder, settings, launcher).load()
        pid = subject.process.pid
        running = subject.send("meet()")
        await began(folder)
        assert "did not return within 0.5 s" in await subject.loss()
        with pytest.raises(ModelNotReady, match="did not return"):
            subject.send("1")
        assert (await running.answer()).status == 503
        await subject.finish()
        assert not is_there(pid)
