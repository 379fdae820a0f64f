"""Functions under AWS's emulator: each in a container of its own, asked once."""

import http.client
import json
import os
import platform
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from subprocess import PIPE, STDOUT

from benchmarks.throughput import BenchmarkError

ROOT = Path(__file__).parents[2]
BARE = Path(__file__).parent / "bare"

RELEASE = "1.170.0"
"""Of aws-sam-cli, whose wheel has the emulator's programs."""

PATIENCE = 60.0
"""Longest wait for anything, in seconds."""

OURS = "serving.hosts.aws_lambda.handler"

_PATH = "/2015-03-31/functions/function/invocations"
_RULES = ("--read-only", "--tmpfs=/tmp", "--user=993", "--cap-drop=ALL", "--ipc=none")


def emulator() -> Path:
    """AWS's emulator for this machine, fetched once.

    Raises:
        BenchmarkError: it cannot be fetched.
    """
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    folder = ROOT / "build" / "emulator" / RELEASE
    found = folder / f"aws-lambda-rie-{machine}"
    if not found.exists():
        wheel = f"aws-sam-cli=={RELEASE}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        _run(*pip, "--dest", str(folder), wheel)
        (archive,) = folder.glob("*.whl")
        part = folder / "part"
        with zipfile.ZipFile(archive) as members:
            part.write_bytes(members.read(f"samcli/local/rapid/{found.name}"))
        part.chmod(0o755)
        part.rename(found)
    return found


def first_answer(
    image: str, handler: str, model: Path, event: Mapping[str, object], cpus: float
) -> tuple[float, str]:
    """Seconds from the first event, which starts the init phase, to its answer; and its body.

    Raises:
        BenchmarkError: the function fails.
    """
    with _function(image, handler, model, cpus) as port:
        began = time.perf_counter()
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("POST", _PATH, json.dumps(event))
            reply = json.loads(connection.getresponse().read())
        seconds = time.perf_counter() - began
    if not isinstance(reply, dict) or reply.get("statusCode") != 200:
        raise BenchmarkError(f"{handler} of {image} answers {reply}.")
    return seconds, str(reply["body"])


@contextmanager
def _function(image: str, handler: str, model: Path, cpus: float) -> Iterator[int]:
    """A function whose emulator listens and which has not begun; the port."""
    mounts = {emulator(): "/aws-lambda-rie", model: "/opt/ml/model", BARE: "/bare"}
    volumes = [f"--volume={here}:{there}:ro" for here, there in mounts.items()]
    options = [*_RULES, f"--cpus={cpus}", "--publish=127.0.0.1::8080", "--env=PYTHONPATH=/bare"]
    command = ("--entrypoint=/aws-lambda-rie", image, "/opt/venv/bin/python", "-m", "awslambdaric")
    container = _docker("run", "--detach", *options, *volumes, *command, handler)
    try:
        port = int(_docker("port", container, "8080/tcp").rpartition(":")[2])
        _wait(port)
        yield port
    finally:
        _docker("rm", "--force", container)


def _wait(port: int) -> None:
    """Wait until the emulator listens. A path that it does not know starts no function."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        with (
            suppress(OSError, http.client.HTTPException),
            closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection,
        ):
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        time.sleep(0.05)
    raise BenchmarkError("The emulator does not listen.")


def _docker(*arguments: str) -> str:
    return _run(os.environ.get("DOCKER", "docker"), *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, stdout=PIPE, stderr=STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(command)}:\n{done.stdout.strip()}")
    return done.stdout.strip()
