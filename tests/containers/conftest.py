"""Images made by build.sh, as a person makes them, and containers that run them."""

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess
from typing import Any, NamedTuple

import pytest

from serving import configuration
from serving.application import Application
from serving.values import Request, Response

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0
"""Longest wait for anything that a container does, in seconds."""


class Answer(NamedTuple):
    """A response as a client sees it."""

    status: int
    content_type: str
    body: bytes


class Docker:
    """A client of the engine. A test that uses one fails where no engine answers."""

    def __init__(self, client: str) -> None:
        self.client = client

    def __call__(self, *arguments: str) -> str:
        """What a command prints; the test fails with what it complains about."""
        command = [self.client, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.fail(f"docker {' '.join(arguments)}:\n{done.stderr}")
        return done.stdout.strip()

    def attempt(self, *arguments: str) -> CompletedProcess[str]:
        """A command that may fail; its output and errors are one text."""
        command = [self.client, *arguments]
        return subprocess.run(command, stdout=PIPE, stderr=STDOUT, text=True, check=False)

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of an image or a container."""
        (found,) = json.loads(self("inspect", name))
        return dict(found)


class Container:
    """A container whose port is published on the loopback interface."""

    def __init__(self, docker: Docker, name: str, port: int) -> None:
        self._docker = docker
        self.name = name
        self.port = int(docker("port", name, str(port)).rpartition(":")[2])

    @property
    def state(self) -> dict[str, Any]:
        """Docker's view: ``Running``, ``ExitCode``, ``Health`` and more."""
        return dict(self._docker.inspect(self.name)["State"])

    def ask(self, request: Request) -> Answer:
        """Send a request. Raises OSError or HTTPException while nobody listens."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, DEADLINE)) as connection:
            headers = dict(request.headers)
            connection.request(request.method, request.path, request.body or None, headers)
            response = connection.getresponse()
            content_type = response.headers.get("content-type", "")
            return Answer(response.status, content_type, response.read())

    def wait_for_ping(self, status: int) -> Answer:
        """The first answer of ``/ping`` with that status."""
        seen: object = None
        for _ in self._until_deadline(0.1):
            try:
                seen = answer = self.ask(Request("GET", "/ping", {}, b""))
            except (ConnectionError, http.client.BadStatusLine) as error:
                seen = error
            else:
                if answer.status == status:
                    return answer
        pytest.fail(f"/ping never answered {status}; at last: {seen!r}\n{self.logs()}")

    def wait_for_health(self) -> str:
        """Docker's judgement by the image's HEALTHCHECK."""
        for _ in self._until_deadline(0.5):
            status = str(self.state["Health"]["Status"])
            if status != "starting":
                return status
        pytest.fail(f"Docker has come to no judgement.\n{self.logs()}")

    def execute(self, *command: str) -> CompletedProcess[str]:
        """Run a command in the container."""
        return self._docker.attempt("exec", self.name, *command)

    def stop(self) -> int:
        """Send SIGTERM, and SIGKILL after the 30 s that SageMaker gives; the exit status."""
        self._docker("stop", "-t", "30", self.name)
        return int(self.state["ExitCode"])

    def logs(self) -> str:
        """All that the container has written."""
        return self._docker.attempt("logs", self.name).stdout

    def _until_deadline(self, pause: float) -> Iterator[None]:
        """Turns of a loop that waits, while the container runs."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline and self.state["Running"]:
            yield
            time.sleep(pause)


class Starter:
    """Starts containers, and removes them in the end."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._started: list[Container] = []

    def __call__(
        self, image: str, model: Path, *options: str, command: str = "serve", port: int = 8080
    ) -> Container:
        """A container of the image, with the model mounted read-only."""
        publish = ("--publish", f"127.0.0.1::{port}")
        mount = ("--volume", f"{model}:/opt/ml/model:ro")
        name = self._docker("run", "--detach", *publish, *mount, *options, image, *command.split())
        self._started.append(Container(self._docker, name, port))
        return self._started[-1]

    def close(self) -> None:
        """Remove all; what they wrote is shown if the test failed."""
        for container in self._started:
            print(container.logs())
            self._docker("rm", "--force", container.name)


@pytest.fixture(scope="session")
def docker() -> Docker:
    """The client that build.sh chose, or the one on the PATH."""
    return Docker(os.environ.get("DOCKER", "docker"))


def build(*arguments: str) -> None:
    """Build an image through the project's door."""
    command = ["./build.sh", "cpu", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=PIPE, stderr=STDOUT, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}:\n{done.stdout[-5000:]}")


@pytest.fixture(scope="session")
def image() -> str:
    """The image with all engines."""
    build()
    return "hybrid-serving:cpu"


@pytest.fixture(scope="session")
def slim_image() -> str:
    """The image with XGBoost alone."""
    build("--only", "xgboost")
    return "hybrid-serving:cpu-xgboost"


@pytest.fixture
def start(docker: Docker) -> Iterator[Starter]:
    starter = Starter(docker)
    yield starter
    starter.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Trains an example, once, and gives its model directory."""

    @cache
    def train(example: str) -> Path:
        folder = tmp_path_factory.mktemp(example)
        folder.chmod(0o755)  # it is read by another user in the container
        script = ROOT / "inference_scripts" / example / "train.py"
        subprocess.run([sys.executable, script, folder], check=True)
        return folder

    return train


class KeptReply:
    """A reply channel that keeps the answer."""

    gone = False

    def __init__(self) -> None:
        self.answer = asyncio.get_running_loop().create_future()

    def send(self, response: Response) -> None:
        self.answer.set_result(response)


async def answer_in_process(model: Path, request: Request) -> Answer:
    """What the core of this process answers, with no server and no container between."""
    loop = asyncio.get_running_loop()
    application = Application(configuration.read({}), loop)
    loaded, reply = loop.create_future(), KeptReply()
    try:
        application.load(model, loaded.set_result)
        await asyncio.wait_for(loaded, DEADLINE)
        application.handle(request, reply)
        response: Response = await asyncio.wait_for(reply.answer, DEADLINE)
    finally:
        application.close()
    assert isinstance(response.body, bytes)
    return Answer(response.status, response.content_type, response.body)


@pytest.fixture(scope="session")
def in_process() -> Callable[[Path, Request], Answer]:
    """Answers a request with a model in this process."""
    return lambda model, request: asyncio.run(answer_in_process(model, request))
