"""The template and the server's hold on it."""

import asyncio
import errno
import os
import socket
import sys
from pathlib import Path

import pytest

from serving.processes import launcher as launching_module
from serving.processes import packets
from serving.processes.packets import Kind, Packet
from serving.processes.template import Template
from tests.conftest import MakeSettings
from tests.processes.support import Loaded, Subject, is_there, launching, write_model
from tests.support import PATIENCE

REFUSING = """
import socket
from serving.processes.packets import Kind, LAYOUT, Packet
control = socket.socket(fileno={descriptor})
while control.recv(LAYOUT.size):
    control.send(Packet(Kind.REFUSED, 0, 11).pack())
"""


@pytest.mark.uvloop
async def test_the_template_is_small_and_holds_no_model_library(loaded: Loaded) -> None:
    async with loaded() as subject:
        modules = set((await subject.evaluate("' '.join(sys.modules)")).split())
        assert {"numpy", "orjson", "uvloop", "serving.application"} <= modules
        assert not modules & {"torch", "xgboost", "onnxruntime", "scipy", "sklearn", "pandas"}
        assert not modules & {"gunicorn", "httptools"}


async def test_orders_that_a_busy_template_does_not_take_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setattr(launching_module, "BOOT", f"open({str(gate)!r}).read()\n{REFUSING}")

    class Asker:
        def __init__(self, all_told: asyncio.Event) -> None:
            self._all_told = all_told

        def started(self, pid: int) -> None:
            raise AssertionError(pid)

        def ended(self, how: str) -> None:
            told.append(self)
            if len(told) == len(askers):
                self._all_told.set()

        def close(self) -> None:
            pass

    told: list[Asker] = []
    askers: list[Asker] = []

    told.clear()
    all_told = asyncio.Event()
    askers[:] = [Asker(all_told) for _ in range(500)]
    async with launching() as launcher:
        for asker in askers:
            ours, theirs = socket.socketpair()
            ours.close()
            launcher.launch(theirs, asker)
        await asyncio.to_thread(gate.write_text, "")
        await asyncio.wait_for(all_told.wait(), PATIENCE)
        assert told == askers


@pytest.mark.uvloop
async def test_there_is_no_template_before_it_is_needed_and_none_afterwards(tmp_path: Path) -> None:
    async with launching() as launcher:
        assert launcher.pid == 0
        await launcher.close()
        launcher.start()
        pid = launcher.pid
        launcher.start()
        assert launcher.pid == pid
        assert is_there(pid)
    assert launcher.pid == 0
    assert not is_there(pid)


@pytest.mark.uvloop
async def test_a_template_that_cannot_be_started_fails_the_load(
    tmp_path: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))

    async with launching() as launcher:
        subject = Subject(write_model(tmp_path / "m"), make_settings(), launcher)
        reason = "The model's process could not be started: No such file or directory."
        assert await subject.outcome() == reason


@pytest.mark.uvloop
async def test_sockets_that_cannot_be_made_fail_the_load(
    tmp_path: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_arguments: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with launching() as launcher:
        monkeypatch.setattr(socket, "socketpair", exhausted)
        subject = Subject(write_model(tmp_path / "m"), make_settings(), launcher)
        assert "could not be started: Too many open files." in await subject.outcome()


@pytest.mark.uvloop
async def test_a_template_that_fails_fails_the_load(
    tmp_path: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching_module, "BOOT", "raise SystemExit(1)")

    async with launching() as launcher:
        subject = Subject(write_model(tmp_path / "m"), make_settings(), launcher)
        assert "ended with the process that it was forked from" in await subject.outcome()


@pytest.mark.uvloop
async def test_a_fork_that_is_refused_fails_that_load_only(
    tmp_path: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching_module, "BOOT", REFUSING)

    async with launching() as launcher:
        folder = write_model(tmp_path / "m")
        subjects = [Subject(folder, make_settings(), launcher) for _ in range(2)]
        reason = f"The model's process could not be started: {os.strerror(11)}."
        assert await asyncio.gather(*(s.outcome() for s in subjects)) == [reason, reason]


def test_a_fork_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)
    server, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = socket.socketpair()
    with server, control, ours, theirs:
        socket.send_fds(server, [Packet(Kind.FORK).pack()], [theirs.fileno()])
        theirs.close()
        server.shutdown(socket.SHUT_WR)
        assert Template(control).run() is None
        told = packets.unpack(server.recv(packets.LAYOUT.size))
        assert told == (Kind.REFUSED, 0, errno.EAGAIN)
        assert ours.recv(1) == b""  # nobody else has the other end
