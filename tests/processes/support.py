"""Models whose processes do as they are told, and meet their tests at named pipes."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from serving.application import Application
from serving.call import Handler
from serving.processes.launcher import Launcher
from serving.processes.process import ModelProcess
from serving.settings import Settings
from serving.values import Response
from tests.support import PATIENCE, Recorder, post

OBEDIENT = """
import ctypes, os, signal, subprocess, sys, threading
from pathlib import Path

folder = Path(__file__).parent.parent
log = []

def meet():
    (folder / "began").write_text("")
    (folder / "leave").read_text()
    return "met"

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept, context):
    log.append(body.decode())
    value = eval(body)
    return value if hasattr(value, "__next__") or isinstance(value, bytes) else str(value)
"""
"""Evaluates what it is sent. ``meet()`` waits for the test at two pipes."""


def write_model(folder: Path, script: str = OBEDIENT) -> Path:
    """A model directory with that script and the pipes to meet it at."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(script)
    for name in ("began", "leave"):
        os.mkfifo(folder / name)
    return folder


async def began(folder: Path) -> None:
    """Wait until a call of ``meet`` has begun."""
    await asyncio.wait_for(asyncio.to_thread((folder / "began").read_text), PATIENCE)


def let_go(folder: Path) -> None:
    """Let a call of ``meet`` return; none that is not there is waited for."""
    threading.Thread(target=(folder / "leave").write_text, args=("",), daemon=True).start()


@asynccontextmanager
async def launching() -> AsyncIterator[Launcher]:
    """A launcher; all that it has started has ended in the end."""
    launcher = Launcher(asyncio.get_running_loop())
    try:
        yield launcher
    finally:
        await launcher.close()


class Subject:
    """A model's process, and what was told of it."""

    def __init__(
        self, folder: Path, settings: Settings, launcher: Launcher, name: str = "one"
    ) -> None:
        loop = asyncio.get_running_loop()
        self.folder, self.launcher = folder, launcher
        self.settled: asyncio.Future[str] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.process = ModelProcess(
            name,
            folder,
            settings,
            launcher,
            loop,
            settled=self.settled.set_result,
            lost=self.lost.set_result,
        )

    async def load(self) -> "Subject":
        """Wait until it is loaded."""
        assert await self.outcome() == ""
        return self

    async def outcome(self) -> str:
        """Why it is not loaded; empty if it is."""
        return await asyncio.wait_for(self.settled, PATIENCE)

    async def loss(self) -> str:
        """Why it cannot answer any more."""
        return await asyncio.wait_for(self.lost, PATIENCE)

    def send(self, command: str, deadline: float = float("inf")) -> Recorder:
        """Have something evaluated."""
        reply = Recorder()
        self.process.handle(post(command.encode(), deadline, content_type="text/x-python"), reply)
        return reply

    async def ask(self, command: str) -> Response:
        """Have something evaluated, and wait for the answer."""
        return await self.send(command).answer()

    async def evaluate(self, command: str) -> str:
        """What something evaluates to."""
        response = await self.ask(command)
        assert response.status == 200, response
        assert isinstance(response.body, bytes)
        return response.body.decode()

    async def finish(self) -> None:
        """Finish, and wait for the end."""
        done = asyncio.Event()
        self.process.finish(done.set)
        await asyncio.wait_for(done.wait(), PATIENCE)


Loaded = Callable[..., AbstractAsyncContextManager[Subject]]
"""Starts a process for a model of a script, of settings by name; it has loaded the model."""


def is_there(pid: int) -> bool:
    """Whether there is a process of that number, if only to be waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def in_both_places(folder: Path, settings: Settings) -> AsyncIterator[list[Handler]]:
    """What answers for a model in this process, as the one of a server, and in one of its own."""
    loop = asyncio.get_running_loop()
    application, loaded = Application(settings, loop), loop.create_future()
    application.load(folder, loaded.set_result)
    async with launching() as launcher:
        subject = await Subject(folder, settings, launcher).load()
        await loaded
        yield [application.handle, subject.process.handle]
    application.close()
