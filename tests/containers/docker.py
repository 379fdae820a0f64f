"""A client of the Docker engine, containers that serve a model, and the images they run."""

import json
import os
import subprocess
import time
from functools import cache
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess
from typing import Any

import pytest

from tests.support import Answer, Server, free_port

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0
"""Longest wait for anything that a container does, in seconds."""


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


def chosen() -> Docker:
    """The client that build.sh chose, or the one on the PATH."""
    return Docker(os.environ.get("DOCKER", "docker"))


@cache
def image(*engines: str) -> str:
    """The name of the image with these engines alone, or with all; built by build.sh, once.

    The latter is another one where ``./build.sh test-image`` names it.
    """
    if not engines and "TEST_IMAGE" in os.environ:
        return os.environ["TEST_IMAGE"]
    suffix = "".join(f"-{engine}" for engine in engines)
    only = ["--only", ",".join(engines)] if engines else []
    command = ["./build.sh", "cpu", *only]
    done = subprocess.run(command, cwd=ROOT, stdout=PIPE, stderr=STDOUT, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}:\n{done.stdout[-5000:]}")
    return f"hybrid-serving:cpu{suffix}"


class Container(Server):
    """A container whose port is published on the loopback interface."""

    def __init__(self, docker: Docker, name: str, port: int) -> None:
        self._docker = docker
        self.name = name
        self.port = port

    @property
    def state(self) -> dict[str, Any]:
        """Docker's view: ``Running``, ``ExitCode``, ``Health`` and more."""
        return dict(self._docker.inspect(self.name)["State"])

    @property
    def log(self) -> str:
        return self._docker.attempt("logs", self.name).stdout

    def ended(self, pause: float = 0) -> int | None:
        limit = time.monotonic() + pause
        while (state := self.state)["Running"]:
            left = limit - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(left, 0.1))
        return int(state["ExitCode"])

    def terminate(self) -> None:
        self._docker("kill", "--signal", "TERM", self.name)

    def stop(self) -> int:
        """Send it SIGTERM, and SIGKILL after the 30 s that SageMaker gives; the exit status."""
        self._docker("stop", "-t", "30", self.name)
        return self.wait()

    def wait_for_ping(self, status: int) -> Answer:
        """The first answer of ``/ping`` with that status."""
        return self.wait_until(lambda answer: answer.status == status)

    def wait_for_health(self) -> str:
        """Docker's judgement by the image's HEALTHCHECK."""
        limit = time.monotonic() + DEADLINE
        while time.monotonic() < limit and self.ended(pause=0.5) is None:
            status = str(self.state["Health"]["Status"])
            if status != "starting":
                return status
        pytest.fail(f"Docker has come to no judgement.\n{self.log}")

    def beside(self, program: str, *arguments: str) -> str:
        done = self.execute("python", "-c", program, "1", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def execute(self, *command: str) -> CompletedProcess[str]:
        """Run a command in the container."""
        return self._docker.attempt("exec", self.name, *command)


class Starter:
    """Starts containers, and removes them in the end."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._started: list[Container] = []

    def __call__(
        self,
        image: str,
        model: Path,
        *options: str,
        command: str = "serve",
        port: int = 8080,
        at: str = "/opt/ml/model",
    ) -> Container:
        """A container of the image, with the model mounted read-only; port 0 publishes none."""
        published = free_port()
        publish = ("--publish", f"127.0.0.1:{published}:{port}") if port else ()
        mount = ("--volume", f"{model}:{at}:ro")
        name = self._docker("run", "--detach", *publish, *mount, *options, image, *command.split())
        self._started.append(Container(self._docker, name, published))
        return self._started[-1]

    def close(self) -> None:
        """Remove all; what they wrote is shown if the test failed."""
        for container in self._started:
            print(container.log)
            self._docker("rm", "--force", container.name)
