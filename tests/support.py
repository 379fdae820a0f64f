"""What the tests of several modules share: replies, requests, fake models, servers."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from serving.errors import BadRequest
from serving.model import Model
from serving.values import Payload, Prediction, Request, Response

PATIENCE = 20.0
"""Longest wait for anything that has to happen, in seconds; never waited for in full."""

Run = Callable[[Coroutine[Any, Any, None]], None]
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


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without any setting of a server, and with those given."""
    ours = ("SAGEMAKER_", "SERVING_", "OMP_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return {**kept, **variables}


def cli(*arguments: str | Path) -> list[str]:
    """The command line of a command."""
    return [sys.executable, "-m", "serving.cli", *map(str, arguments)]


class Server:
    """A server in a process of its own."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.port = port
        self.process = process
        self._log = log

    def ask(self, request: Request) -> Answer:
        """Send a request. Raises OSError or HTTPException where nobody answers."""
        with closing(HTTPConnection("127.0.0.1", self.port, PATIENCE)) as connection:
            path = f"{request.path}?{request.query}" if request.query else request.path
            connection.request(request.method, path, request.body or None, dict(request.headers))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            headers = {name: value for name, value in fields.items() if name not in FRAMING}
            return Answer(response.status, headers, response.read())

    def wait_until(self, settled: Callable[[Answer], bool]) -> None:
        """Wait until the answer to a ping is as wanted."""
        limit = time.monotonic() + PATIENCE
        seen: object = None
        while time.monotonic() < limit:
            with suppress(subprocess.TimeoutExpired):
                status = self.process.wait(timeout=0.03)
                raise AssertionError(f"The server ended with status {status}:\n{self.log}")
            try:
                seen = answer = self.ask(get("/ping"))
            except (OSError, HTTPException) as error:
                seen = error
            else:
                if settled(answer):
                    return
        raise AssertionError(f"The server never came to it; at last {seen!r}:\n{self.log}")

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text()


def settled(answer: Answer) -> bool:
    """Whether a ping says that the model is loaded, or will never be."""
    return answer.status == 200 or b"failed" in answer.body


@contextmanager
def serving(model: Path, workspace: Path, *arguments: str, **variables: str) -> Iterator[Server]:
    """A server of one worker whose model is loaded, or has failed to load."""
    port, log = free_port(), workspace / "log"
    command = cli("serve", model, "--bind", "127.0.0.1", "--port", str(port), "--workers", "1")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=file,
            stderr=file,
            env=environment(SERVING_CACHE=str(workspace / "cache"), **variables),
            start_new_session=True,
        )
    server = Server(port, process, log)
    try:
        server.wait_until(settled)
        yield server
        process.terminate()
        assert process.wait(PATIENCE) == 0, server.log
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
