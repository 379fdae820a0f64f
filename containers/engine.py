"""The Docker engine, by its client."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from io import BufferedIOBase

from containers.images import ROOT, Failure

PIECE = 1 << 20
"""Bytes that are copied at a time."""


class Engine:
    """The client that build.sh found, if it did; paths are relative to the project's root.

    Every method raises `Failure` if the client fails; what it wrote to standard error was shown.
    """

    def __init__(self, client: str | None = os.environ.get("DOCKER")) -> None:
        self.client = client or "docker"
        self._found = client is not None

    def need(self, command: str) -> None:
        """Refuses a command where no engine answers."""
        if not self._found:
            raise Failure(f"'{command}' needs a Docker engine with BuildKit, and none answers here")

    def run(self, *arguments: str, stdin: str | None = None) -> None:
        """A command whose output is for the person who waits for it."""
        command = [self.client, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, input=stdin, text=True, check=False, stdout=sys.stderr
        )
        self._succeeded(arguments, done.returncode)

    def ask(self, *arguments: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            [self.client, *arguments], stdout=subprocess.PIPE, text=True, check=False
        )
        self._succeeded(arguments, done.returncode)
        return done.stdout.strip()

    def pour(self, sink: BufferedIOBase, *arguments: str) -> None:
        """Writes to the sink what a command prints, however much it is."""
        with subprocess.Popen([self.client, *arguments], stdout=subprocess.PIPE) as client:
            if client.stdout is not None:
                shutil.copyfileobj(client.stdout, sink, PIECE)
        self._succeeded(arguments, client.returncode)

    def can(self, *arguments: str) -> bool:
        """Whether a command succeeds; it says nothing."""
        silent = subprocess.DEVNULL
        command = [self.client, *arguments]
        return subprocess.run(command, stdout=silent, stderr=silent, check=False).returncode == 0

    def has(self, image: str) -> bool:
        """Whether the image is on this machine."""
        return self.can("image", "inspect", image)

    def inspect(self, image: str, template: str) -> str:
        """A fact about an image, by a template of Go's."""
        return self.ask("image", "inspect", "--format", template, image)

    def built(self, image: str) -> None:
        """Refuses an image that is not there, and says how to make it."""
        if not self.has(image):
            raise Failure(f"{image} is not built yet: ./build.sh {image.partition(':')[2]}")

    def _succeeded(self, arguments: Sequence[str], status: int) -> None:
        if status != 0:
            raise Failure(f"docker {arguments[0]} failed with status {status}; it says why above")
