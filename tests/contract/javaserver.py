"""multi-model-server with the core in it, as its users start it, and what they ask it."""

import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from benchmarks.density import mms
from benchmarks.throughput.targets import PORTS
from serving.values import Request
from tests.contract.cases import JSON, Case
from tests.support import PATIENCE, Answer, Process, Server, cli, environment

ITS_OWN = {"x-request-id", "pragma", "cache-control", "expires"}
"""Fields that it adds to every response."""

FIELDS = """
def transform_fn(model, body, content_type, accept, context):
    context.set_response_header(0, "Cache-Control", "max-age=5")
    context.set_response_header(0, "X-Own", "é")
    return b"", "text/plain; a=é"

def model_fn(folder):
    return None
"""
"""Sets fields of responses."""

STUCK = """
import os, time

def model_fn(folder):
    return None

def input_fn(body, content_type):
    return body.decode()

def predict_fn(word, folder):
    if word != "go":
        open(word, "w").close()
        time.sleep(3600)
    return os.getpid()

def output_fn(number, accept):
    return str(number)
"""
"""Tells its process, or opens the pipe that it is told and does not return."""

TABLE: dict[str, str] = {}
"""The rows of docs/mms.md's table, each with the test that holds it."""


def row(what: str) -> Callable[[Any], Any]:
    """The test is that of a row of the table."""

    def note(test: Any) -> Any:
        TABLE[what] = test.__name__
        return test

    return note


def name(case: Case) -> str:
    return f"{case.model}: {case.name}"


_ports = iter(random.sample(PORTS, 1000))


def free_port() -> int:
    """A port that the server takes, that nobody listens on and that no other server was given."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("No port is free.")


@contextmanager
def started(command: list[str | Path], workspace: Path, **variables: str) -> Iterator[Process]:
    """A server that listens, or will; in the end it is stopped, with all that it has started."""
    log, port = workspace / "log", free_port()
    binaries = mms.environment().parent
    given = {
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SAGEMAKER_MODEL_SERVER_VMARGS": "-Xmx256m",
        "SERVING_CACHE": str(workspace / "cache"),
        "PATH": f"{binaries}:{os.environ['PATH']}",
        **variables,
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            [binaries / "python", *command],
            stdout=file,
            stderr=file,
            env=environment(**given),
            start_new_session=True,
        )
    try:
        yield Process(port, process, log)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def serving(workspace: Path, *arguments: str | Path, **variables: str) -> Iterator[Process]:
    """``serve`` with this host, on loopback."""
    command = cli("serve", "--bind", "127.0.0.1", *arguments)[1:]
    with started([*command], workspace, SERVING_HOST="mms", **variables) as server:
        yield server


def up(answer: Answer) -> bool:
    """Whether all processes that there should be have loaded their model, or tried to."""
    return b'"Healthy"' in answer.body


def without_its_own(answer: Answer) -> Answer:
    assert answer.headers.keys() >= ITS_OWN
    kept = {name: value for name, value in answer.headers.items() if name not in ITS_OWN}
    return answer._replace(headers=kept)


@contextmanager
def raw(server: Server, request: Request) -> Iterator[HTTPResponse]:
    """The response as it is on the wire."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        connection.request(request.method, request.path, request.body, dict(request.headers))
        yield connection.getresponse()


def registered(server: Server, name: str, root: Path, **query: object) -> Answer:
    """The answer to SageMaker's order to load a model."""
    order = json.dumps({"model_name": name, "url": str(root / name / "model")}).encode()
    further = "&".join(f"{key}={value}" for key, value in query.items())
    request = Request("POST", "/models", {"content-type": JSON}, order, further)
    return server.ask(request, timeout=server.patience)
