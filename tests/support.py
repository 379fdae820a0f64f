"""What the tests of several modules share: replies, requests, fake models, servers."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from serving.errors import BadRequest
from serving.model import Model
from serving.values import Payload, Prediction, Request, Response

PATIENCE = 20.0
"""Longest wait for anything that has to happen, in seconds; never waited for in full."""

"""Runs a test's coroutine on a loop; an exception in a callback fails the test."""


class Recorder:
    """A reply channel that keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[Response] = []
        self.gone = False
        self._sent = asyncio.Event()

    def send(self, response: Response) -> None:
        self.answers.append(response)
        self._sent.set()

    async def answer(self) -> Response:
        """The answer, which is the only one."""
        await asyncio.wait_for(self._sent.wait(), PATIENCE)
        (answer,) = self.answers
        return answer


def post(body: bytes = b"", deadline: float = float("inf"), **headers: str) -> Request:
    """An invocation; ``content_type`` is the header field Content-Type."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", "/invocations", fields, body, deadline=deadline)


def get(path: str) -> Request:
    return Request("GET", path, {}, b"")


class Fake:
    """A model that doubles numbers, one a line. It keeps count, and waits where it is told to.

    A negative number fails the call it is in, whoever else is in it. The header field ``key`` of a
    request is the merge key of its payload; ``-`` stands for none.
    """

    def __init__(self, *, held: bool = False) -> None:
        self.calls: list[list[float]] = []
        """The numbers of each call of predict."""
        self.threads: dict[str, int] = {}
        """Where each function ran last."""
        self.failure: BaseException = ValueError("a negative number")
        self._held = held
        self._begun = threading.Semaphore(0)
        self._leave = threading.Semaphore(0)

    def began(self) -> None:
        """Wait until a call of predict, the next one, has begun."""
        assert self._begun.acquire(timeout=PATIENCE)

    def release(self, calls: int = 1) -> None:
        """Let calls of predict return."""
        self._leave.release(calls)

    def decode(self, request: Request) -> Payload:
        self.threads["decode"] = threading.get_ident()
        try:
            numbers = np.array([float(line) for line in request.body.splitlines()])
        except ValueError as error:
            raise BadRequest(f"This is no number: {error}.") from error
        key = request.headers.get("key", "")
        return Payload(numbers[:, np.newaxis], len(numbers), None if key == "-" else key)

    def predict(self, payload: Payload) -> Prediction:
        self.threads["predict"] = threading.get_ident()
        self.calls.append(payload.data.ravel().tolist())
        self._begun.release()
        if self._held:
            assert self._leave.acquire(timeout=PATIENCE)
        if (payload.data < 0).any():
            raise self.failure
        return Prediction({"doubled": payload.data * 2})

    def encode(self, prediction: Prediction, accept: str, _request: Request) -> Response:
        self.threads["encode"] = threading.get_ident()
        doubled = prediction.outputs["doubled"].ravel().tolist()
        return Response(200, "".join(f"{number:g}\n" for number in doubled).encode(), accept)

    def model(self, *foreign: str, **facts: Any) -> Model:
        """The model; ``foreign`` names the functions that are a user's code."""
        return Model(
            **{
                "engine": "fake",
                "decode": self.decode,
                "predict": self.predict,
                "encode": self.encode,
                "reads": ("text/plain",),
                "writes": ("text/plain", "text/csv"),
                "foreign": frozenset(foreign),
                **facts,
            }
        )


class Answer(NamedTuple):
    """A response as a client sees it."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name; those that frame a message and its date are left out."""
    body: bytes


FRAMING = {"content-length", "transfer-encoding", "connection", "keep-alive", "date"}


BARE = Path(__file__).with_name("bare")
"""Modules that are missing in images, and shall be where tests run."""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without any setting of a server, and with those given.

    What runs in it finds no library that is only there for training.
    """
    ours = ("SAGEMAKER_", "SERVING_", "OMP_", "ORT_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    path = os.pathsep.join([str(BARE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, **variables}


def cli(*arguments: str | Path) -> list[str]:
    """The command line of a command."""
    return [sys.executable, "-m", "serving.cli", *map(str, arguments)]


class Server(ABC):
    """A server that this machine reaches on the loopback interface, wherever it runs."""

    port: int
    patience = 60.0
    """Longest wait for anything that it does, in seconds: a busy machine starts one slowly."""

    @property
    @abstractmethod
    def log(self) -> str:
        """What it has written."""

    @abstractmethod
    def ended(self, pause: float = 0) -> int | None:
        """Its exit status, if it has ended or does within so many seconds."""

    @abstractmethod
    def terminate(self) -> None:
        """Send it SIGTERM."""

    @abstractmethod
    def beside(self, program: str, *arguments: str) -> str:
        """What a Python program prints that runs where the server runs.

        Its first argument is the id of the server's process, those given follow.
        """

    def ask(self, request: Request, timeout: float = PATIENCE) -> Answer:
        """Send a request. Raises OSError or HTTPException where nobody answers in time."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout)) as connection:
            path = f"{request.path}?{request.query}" if request.query else request.path
            connection.request(request.method, path, request.body or None, dict(request.headers))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            headers = {name: value for name, value in fields.items() if name not in FRAMING}
            return Answer(response.status, headers, response.read())

    def wait_until(self, settled: Callable[[Answer], bool]) -> Answer:
        """Wait until the answer to a ping is as wanted, and give it."""
        limit = time.monotonic() + self.patience
        seen: object = None
        while time.monotonic() < limit:
            try:
                seen = answer = self.ask(get("/ping"))
            except (OSError, HTTPException) as error:
                seen = error
            else:
                if settled(answer):
                    return answer
            status = self.ended(pause=0.03)
            assert status is None, f"The server ended with status {status}:\n{self.log}"
        raise AssertionError(f"The server never came to it; at last {seen!r}:\n{self.log}")

    def stop(self) -> int:
        """Send it SIGTERM, and give the exit status."""
        self.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, and give the exit status."""
        status = self.ended(pause=self.patience)
        assert status is not None, f"The server does not end:\n{self.log}"
        return status


class Process(Server):
    """A server in a process of its own."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port = port
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ended(self, pause: float = 0) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(pause)
        return None

    def terminate(self) -> None:
        self._process.terminate()

    def beside(self, program: str, *arguments: str) -> str:
        command = [sys.executable, "-c", program, str(self._process.pid), *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


Spawned = TypeVar("Spawned", bound=Process)


def bound_port(variables: Mapping[str, str]) -> int:
    """The port on which a server with these variables listens; 0 where they name none there is."""
    text = variables.get("SAGEMAKER_BIND_TO_PORT", "8080")
    return int(text) if text.isdecimal() and int(text) <= 65535 else 0


def healthy(answer: Answer) -> bool:
    """Whether a ping says that the model is loaded."""
    return answer.status == 200


def settled(answer: Answer) -> bool:
    """Whether a ping says that the model is loaded, or will never be."""
    return healthy(answer) or b"failed to load" in answer.body


@contextmanager
def spawned(
    kind: type[Spawned],
    port: int,
    command: Sequence[str | Path],
    workspace: Path,
    variables: Mapping[str, str],
    folder: Path | None = None,
) -> Iterator[Spawned]:
    """A server's process, from its start; in the end it is stopped, if it has not ended.

    Its log and its cache are in the workspace. It runs in a folder, by default that of the tests.
    """
    log = workspace / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            cwd=folder,
            env=environment(**{"SERVING_CACHE": str(workspace / "cache"), **variables}),
            start_new_session=True,
        )
    server = kind(port, process, log)
    try:
        yield server
        if server.ended() is None:
            server.stop()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def launched(model: Path, workspace: Path, *arguments: str, **variables: str) -> Iterator[Process]:
    """A server of one worker, from its start; in the end it is stopped, if it has not ended."""
    given = {
        "SAGEMAKER_BIND_TO_PORT": str(free_port()),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SM_MODEL_DIR": str(model),
        **variables,
    }
    command = [*cli("serve", "--bind", "127.0.0.1"), *arguments]
    with spawned(Process, bound_port(given), command, workspace, given) as server:
        yield server


@contextmanager
def serving(model: Path, workspace: Path, *arguments: str, **variables: str) -> Iterator[Process]:
    """A server of one worker whose model is loaded, or has failed to load."""
    with launched(model, workspace, *arguments, **variables) as server:
        server.wait_until(settled)
        yield server
        assert server.stop() == 0, server.log


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
