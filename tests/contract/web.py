"""Web servers of others, with our application or a site that has it, in processes of their own."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path

import pytest

from serving.values import Request
from tests.contract.cases import CASES, post
from tests.support import PATIENCE, Answer, Process, free_port, settled, spawned

ROOT = Path(__file__).parents[2]

EACH_CASE = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.model}: {case.name}" for case in CASES]
)

Servers = dict[str, "Web"]
"""By the names of their models."""


class Web(Process):
    """A server, asked below a prefix; it is stopped by whoever started it."""

    def __init__(
        self, port: int, process: subprocess.Popen[bytes], log: Path, prefix: str = ""
    ) -> None:
        super().__init__(port, process, log)
        self._below = prefix

    def ask(self, request: Request, timeout: float = PATIENCE) -> Answer:
        answer = super().ask(request._replace(path=self._below + request.path), timeout)
        ours = {name: text for name, text in answer.headers.items() if name != "server"}
        return answer._replace(headers=ours)

    @contextmanager
    def begun(self, request: Request) -> Iterator[HTTPResponse]:
        """The response to a request, of which the head has come."""
        connection = HTTPConnection("127.0.0.1", self.port, PATIENCE)
        try:
            path = self._below + request.path
            connection.request(request.method, path, request.body, dict(request.headers))
            yield connection.getresponse()
        finally:
            connection.close()

    def told(self, head: str) -> bytes:
        """The status line of the answer to a head, after which no body is sent."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            lines = head.format(path=f"{self._below}/invocations").splitlines()
            client.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
            return client.makefile("rb").readline().strip()

    def below(self, prefix: str) -> "Web":
        """The same server, asked below a prefix."""
        return Web(self.port, self._process, self._log, prefix)


@contextmanager
def running(module: str, *arguments: str, workspace: Path, **variables: str) -> Iterator[Web]:
    """Run the module of a web server, whose arguments name its ``{port}``."""
    port = free_port()
    command = [sys.executable, "-m", module, *(each.format(port=port) for each in arguments)]
    with spawned(Web, port, command, workspace, variables, ROOT) as server:
        yield server


def uvicorn(application: str, *options: str) -> tuple[str, ...]:
    return "uvicorn", application, "--port", "{port}", *options


def hypercorn(application: str, *options: str) -> tuple[str, ...]:
    return "hypercorn", application, "--bind", "127.0.0.1:{port}", *options


def gunicorn(application: str, *options: str) -> tuple[str, ...]:
    bind = ("--bind", "127.0.0.1:{port}", "--no-control-socket")
    return "gunicorn", application, *bind, "--worker-class", "gthread", "--threads", "8", *options


def waitress(application: str, *options: str) -> tuple[str, ...]:
    return "waitress", "--listen", "127.0.0.1:{port}", *options, application


@contextmanager
def one_each(
    arguments: tuple[str, ...], models: dict[str, Path], make_workspace: Callable[[], Path]
) -> Iterator[Servers]:
    """A server for each model, which is loaded, or has failed to load."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:

        def start(name: str) -> tuple[str, Web]:
            model = str(models[name])
            server = running(*arguments, workspace=make_workspace(), SERVING_MODEL=model)
            return name, stack.enter_context(server)

        servers = dict(pool.map(start, models))
        for server in servers.values():
            server.wait_until(settled)
        yield servers


@contextmanager
def site_of(
    arguments: tuple[str, ...], models: dict[str, Path], workspace: Path
) -> Iterator[Servers]:
    """A site that serves all the models, each below its prefix."""
    folder = workspace / "models"
    folder.mkdir()
    for name, model in models.items():
        (folder / name).symlink_to(model)
    with running(*arguments, workspace=workspace, SITE_MODELS=str(folder)) as server:
        servers = {name: server.below(f"/models%20of%20ours/{name}") for name in models}
        for each in servers.values():
            each.wait_until(settled)
        yield servers


def sends_chunks_as_they_are_made(servers: Servers) -> None:
    request = post(b"for ever", "application/octet-stream")
    with servers["streams"].begun(request) as response:
        assert response.read(9) == b"one more "


def leaves_a_stream_that_fails_unfinished(servers: Servers) -> None:
    request = post(b"fail", "application/octet-stream")
    with servers["streams"].begun(request) as response, pytest.raises(IncompleteRead) as failure:
        response.read()
    assert failure.value.partial == b"one "


def refuses_a_large_body_by_its_head(servers: Servers) -> None:
    head = "POST {path} HTTP/1.1\nHost: any\nContent-Length: 99999999\n"
    assert servers["stump"].told(head).startswith(b"HTTP/1.1 413")
