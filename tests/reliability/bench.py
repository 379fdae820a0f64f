"""The servers that faults are tried on, and the good request that each must answer after each."""

import os
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import onnx

from serving.values import Request
from tests.hosts.http.support import Client
from tests.models import doubling
from tests.reliability.fault import Aftermath, Fault
from tests.reliability.inference import LINE
from tests.support import PATIENCE, Process, launched, post

SCRIPT = Path(__file__).with_name("inference.py")


class Kind(NamedTuple):
    """A server to try faults on."""

    write: Callable[[Path], None]
    """Puts the model into a directory."""
    good: Request
    answer: bytes
    settings: Mapping[str, str] = MappingProxyType({})
    workers: int = 1
    quiet: bool = True
    """A traceback in its log is a mistake of the server's."""


class Site:
    """A model, a place to serve it from, and the server while there is one."""

    server: Process
    drained: int
    """Bytes of the log that were counted instead of kept."""

    def __init__(self, kind: Kind, workspace: Path) -> None:
        self.kind = kind
        self.workspace = workspace
        self.model = workspace / "model"
        self.model.mkdir()
        kind.write(self.model)
        self.source = self.model
        """What is served: the model's directory, or an archive of it."""

    @contextmanager
    def started(self, **settings: str) -> Iterator[Process]:
        """A server, from its start on."""
        workers = {"SAGEMAKER_MODEL_SERVER_WORKERS": str(self.kind.workers)}
        log = self.workspace / "log"
        log.unlink(missing_ok=True)
        os.mkfifo(log)
        replaced = threading.Event()
        reader = threading.Thread(target=self._read, args=(log, replaced.set), daemon=True)
        reader.start()
        variables = {**workers, **self.kind.settings, **settings}
        with launched(self.source, self.workspace, **variables) as server:
            self.server = server
            assert replaced.wait(PATIENCE)  # whoever reads the pipe itself waits for ever
            yield server
        reader.join(PATIENCE)

    def _read(self, log: Path, replaced: Callable[[], None]) -> None:
        """Put a file with the log in the place of the pipe it is written to.

        Dots are only counted: a script prints a gigabyte of them, and others write in between.
        """
        self.drained, kept = 0, log.with_name("kept")
        dots = f"{LINE}\n".encode()
        with log.open("rb", buffering=len(dots)) as pipe, kept.open("wb", buffering=0) as file:
            kept.replace(log)
            replaced()
            for line in pipe:
                text = b"" if line == dots else line.lstrip(b".").lstrip(b"\n")
                file.write(text)
                self.drained += len(line) - len(text)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """A server whose workers are ready; it must stop cleanly in the end."""
        with self.started() as server:
            self.until(lambda: len(self.workers) == self.kind.workers)
            yield
            assert server.stop() == 0, server.log

    @property
    def workers(self) -> list[int]:
        """The process ids of all workers that became ready, in that order."""
        return [int(pid) for pid in re.findall(r"(\d+) INFO serving: .* ready", self.server.log)]

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait until something has happened."""
        limit = time.monotonic() + PATIENCE
        while not happened():
            assert self.server.ended(pause=0.02) is None, self.server.log
            assert time.monotonic() < limit, self.server.log

    @contextmanager
    def client(self, receive_buffer: int | None = None) -> Iterator[Client]:
        """A new connection."""
        with socket.socket() as sock:
            sock.settimeout(PATIENCE)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.connect(("127.0.0.1", self.server.port))
            yield Client(sock)

    def check(self) -> None:
        """Ask the good request. Fails where it is not answered at once, and rightly."""
        answer = self.server.ask(self.kind.good)
        assert (answer.status, answer.body) == (200, self.kind.answer), self.server.log
        if self.kind.quiet:
            assert "Traceback" not in self.server.log, self.server.log


class Bench:
    """All servers, each started when it is first needed."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._sites: list[Site] = []
        self._stack = ExitStack()

    def try_out(self, fault: Fault) -> str:
        """What came of a fault. Fails where the server does not go on as it should."""
        if fault.aftermath is Aftermath.ANEW:
            site = Site(fault.kind, self._folder())
            outcome = fault.attempt(site)
            with site.serving():
                site.check()
            shutil.rmtree(site.workspace)
            return outcome
        site = self._shared(fault.kind)
        before = site.workers
        outcome = fault.attempt(site)
        site.check()
        replaced = fault.aftermath is Aftermath.REPLACED
        site.until(lambda: len(site.workers) >= len(before) + replaced)
        assert len(site.workers) == len(before) + replaced, site.server.log
        return outcome

    def close(self) -> None:
        """Stop the servers. Fails where one does not stop cleanly."""
        self._stack.close()

    def _shared(self, kind: Kind) -> Site:
        for site in self._sites:
            if site.kind is kind:
                return site
        site = Site(kind, self._folder())
        self._stack.enter_context(site.serving())
        self._sites.append(site)
        return site

    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._workspace))


def write_tensors(folder: Path) -> None:
    """A model that doubles numbers."""
    onnx.save(doubling(), folder / "model.onnx")


def write_script(folder: Path) -> None:
    """The script that does what it is told."""
    (folder / "code").mkdir()
    shutil.copy(SCRIPT, folder / "code" / "inference.py")


TENSORS = Kind(
    write_tensors,
    post(b"[[1, 2], [3, 4.5]]", content_type="application/json"),
    b'{"doubled":[[2.0,4.0],[6.0,9.0]],"total":[3.0,7.5]}',
)
IMPATIENT = TENSORS._replace(
    settings={
        "SERVING_RECEIVE_TIMEOUT": "0.5",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "1.5",
    }
)
SCRIPTED = Kind(
    write_script,
    post(b"21", content_type="text/plain"),
    b"42",
    workers=2,
    quiet=False,
)
HASTY = SCRIPTED._replace(settings={"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "1"})
ALONE = SCRIPTED._replace(workers=1)
