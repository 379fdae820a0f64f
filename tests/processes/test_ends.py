"""How models' processes end: as they are told, by themselves, or with the server."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from serving.errors import ModelNotReady
from serving.values import Response
from tests.conftest import MakeSettings
from tests.processes.support import (
    OBEDIENT,
    Loaded,
    Subject,
    began,
    is_there,
    launching,
    let_go,
    write_model,
)
from tests.support import PATIENCE

STUCK = "ctypes.PyDLL(None).pause()"
"""Never returns, and keeps the interpreter's lock: nothing else runs in its process."""


def says(response: Response, words: str) -> bool:
    assert isinstance(response.body, bytes)
    return response.status == 503 and words in response.body.decode()


def test_a_template_ends_in_order_though_the_server_went_without_hearing_all() -> None:
    code = """
    import socket
    from serving.processes.template import Template
    server, template = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    template.send(b"never read")
    server.close()
    assert Template(template).run() is None
    """
    subprocess.run([sys.executable, "-c", dedent(code)], check=True)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """No search for garbage, so that only what nobody holds goes."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.uvloop
@pytest.mark.usefixtures("no_collector")
async def test_of_one_that_has_ended_nothing_is_left_for_the_collector(loaded: Loaded) -> None:
    async with loaded() as subject:
        assert await subject.evaluate("1 + 1") == "2"
        await subject.finish()
        await asyncio.wait_for(subject.process._channel.closed.wait(), PATIENCE)
        gone = weakref.ref(subject.process)
        del subject
        await asyncio.sleep(0)  # those who call each other hold it until then
        assert gone() is None


@pytest.mark.uvloop
async def test_finishing_waits_for_what_runs_and_for_the_end_of_the_process(loaded: Loaded) -> None:
    async with loaded() as subject:
        pid = subject.process.pid
        running, waiting = subject.send("meet()"), subject.send("1 + 1")
        await began(subject.folder)
        finishing = asyncio.create_task(subject.finish())
        await subject.process.counts()
        with pytest.raises(ModelNotReady, match="is being unloaded"):
            subject.send("1")
        assert is_there(pid)
        let_go(subject.folder)
        await finishing
        assert not is_there(pid)
        assert [reply.answers[0].body for reply in (running, waiting)] == [b"met", b"2"]
        assert not subject.lost.done()
        await subject.finish()  # which it has


@pytest.mark.uvloop
async def test_a_script_can_tidy_up_when_its_model_finishes(loaded: Loaded) -> None:
    script = """
import atexit
from pathlib import Path
def model_fn(folder):
    atexit.register((Path(folder) / "tidied").touch)
def transform_fn(*arguments):
    return ""
"""

    async with loaded(script) as subject:
        assert not (subject.folder / "tidied").exists()
        await subject.finish()
        assert (subject.folder / "tidied").exists()


@pytest.mark.uvloop
async def test_closing_waits_for_nothing(loaded: Loaded) -> None:
    async with loaded() as subject:
        running = subject.send("meet()")
        await began(subject.folder)
        subject.process.close()
        assert says(await running.answer(), "The model was unloaded.")
        await subject.finish()
        assert not subject.lost.done()


@pytest.mark.uvloop
async def test_a_model_can_be_closed_before_it_has_a_process(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async with launching() as launcher:
        subject = Subject(write_model(tmp_path / "m"), make_settings(), launcher)
        await subject.finish()
        assert not subject.settled.done()
        assert not subject.lost.done()


@pytest.mark.uvloop
@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os._exit(3)", "The model's process ended with exit status 3."),
        ("os.kill(os.getpid(), signal.SIGKILL)", "The model's process was ended by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "The model's process was ended by SIGSEGV."),
    ],
    ids=["exit", "kill", "crash"],
)
async def test_a_process_that_ends_by_itself_is_told_to_all_who_wait(
    tmp_path: Path, make_settings: MakeSettings, loaded: Loaded, end: str, words: str
) -> None:
    async with loaded() as subject:
        other = await Subject(write_model(tmp_path / "o"), make_settings(), subject.launcher).load()
        replies = [subject.send(command) for command in ("meet()", end, "1")]
        await began(subject.folder)
        let_go(subject.folder)
        assert words in await subject.loss()
        assert (await replies[0].answer()).status == 200
        assert says(await replies[1].answer(), words)
        assert says(await replies[2].answer(), words)
        with pytest.raises(ModelNotReady, match=words):
            subject.send("1")
        assert await other.evaluate("1 + 1") == "2"
        again = await Subject(subject.folder, make_settings(), subject.launcher).load()
        assert await again.evaluate("1 + 1") == "2"


HANGING_UP = f"""{OBEDIENT}
import socket, struct

def hang_up(server):
    for name in os.listdir("/proc/self/fd"):
        try:
            other = socket.socket(fileno=os.dup(int(name)))
            credentials = other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            continue
        if struct.unpack("3i", credentials)[0] == server:
            other.shutdown(socket.SHUT_WR)
"""


@pytest.mark.uvloop
async def test_a_process_that_has_closed_its_connection_is_ended(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.processes.process.END_SECONDS", 0.1)

    async with loaded(HANGING_UP) as subject:
        await subject.evaluate(f"__import__('atexit').register(lambda: {STUCK})")
        running = subject.send(f"[hang_up({os.getpid()}), meet()]")
        assert "was ended by SIGKILL" in await subject.loss()
        assert says(await running.answer(), "was ended by SIGKILL")


@pytest.mark.uvloop
async def test_a_process_that_does_not_react_is_ended(
    tmp_path: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.processes.traffic.GRACE_SECONDS", 0.1)

    async with launching() as launcher:
        settings = make_settings(request_timeout=0.3)
        subject = await Subject(write_model(tmp_path / "m"), settings, launcher).load()
        now = time.monotonic()
        stuck, unlimited = subject.send(STUCK, now + 0.1), subject.send("1")
        assert await subject.loss() == "The model's process did not react for 0.3 s."
        assert (await stuck.answer()).status == 504
        assert says(await unlimited.answer(), "did not react")
        await subject.finish()


@pytest.mark.uvloop
async def test_a_process_that_does_not_end_is_killed(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.processes.process.END_SECONDS", 0.1)

    async with loaded() as subject:
        await subject.evaluate(f"__import__('atexit').register(lambda: {STUCK})")
        await subject.finish()


@pytest.mark.uvloop
async def test_what_a_script_started_ends_with_its_process(loaded: Loaded) -> None:
    async with loaded() as subject:
        command = f"['sleep', '{10 * PATIENCE}']"
        opened = "stdout=(folder / 'began').open('wb')"
        asked = subject.send(f"log.append(subprocess.Popen({command}, {opened}))")
        # At its end when nobody has it open for writing any more.
        output = asyncio.create_task(began(subject.folder))
        await asked.answer()
        subject.process.close()
        await output


@pytest.mark.uvloop
async def test_the_template_takes_the_models_with_it_and_is_replaced(
    make_settings: MakeSettings, loaded: Loaded
) -> None:
    async with loaded() as subject:
        running = subject.send("meet()")
        await began(subject.folder)
        os.kill(subject.launcher.pid, signal.SIGKILL)
        words = "ended with the process that it was forked from"
        assert words in await subject.loss()
        assert says(await running.answer(), words)
        again = await Subject(subject.folder, make_settings(), subject.launcher).load()
        assert await again.evaluate("1 + 1") == "2"


SERVER = """
    import asyncio, sys
    from pathlib import Path
    from serving import configuration
    from serving.processes.launcher import Launcher
    from tests.processes.support import Subject

    async def main():
        launcher = Launcher(asyncio.get_running_loop())
        settings = configuration.read({{}}, workers=1)
        subjects = [await Subject(Path({folder!r}), settings, launcher).load() for _ in range(2)]
        subjects[0].send({command!r})
        await subjects[1].evaluate("1")
        print("ready", flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.mark.parametrize("command", ["1", STUCK], ids=["idle", "stuck"])
def test_all_end_with_a_server_that_is_killed(tmp_path: Path, command: str) -> None:
    folder = write_model(tmp_path / "m")
    program = dedent(SERVER).format(folder=str(folder), command=command)
    command_line, root = [sys.executable, "-c", program], Path(__file__).parents[2]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, cwd=root) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        server.kill()
        # Its end comes when all who have it are gone: the server, the template and the models.
        output, _ = server.communicate(timeout=PATIENCE)
        assert output == b""
