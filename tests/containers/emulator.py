"""AWS's own emulator of Lambda, in front of an image."""

import json
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any

from benchmarks.coldstart import functions
from serving.values import Request
from tests.containers.docker import DEADLINE, Container, Starter

SERVE = "/opt/venv/bin/serving serve"
RUNTIME_CLIENT = "/opt/venv/bin/python -m awslambdaric serving.hosts.aws_lambda.handler"

LAMBDAS_RULES = (
    *("--read-only", "--tmpfs", "/tmp", "--user", "993", "--cap-drop", "ALL"),
    *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),
    # There is no shared memory.
    *("--ipc", "none"),
)
"""What Lambda allows a container, as options for Docker."""

_PROGRAM = "/usr/local/bin/aws-lambda-rie"
_PATH = "/2015-03-31/functions/function/invocations"


def emulate(
    start: Starter, image: str, model: Path, *options: str, command: str = SERVE
) -> Container:
    """A function of the image, whose container is started as Lambda does."""
    mount = ("--volume", f"{functions.emulator()}:{_PROGRAM}:ro", "--entrypoint", _PROGRAM)
    return start(image, model, *LAMBDAS_RULES, *mount, *options, command=command)


def invoke(function: Container, event: Any) -> Any:
    """What the function returns for an event; of one that fails, the error as Lambda tells it."""
    request = Request("POST", _PATH, {}, json.dumps(event).encode())
    limit = time.monotonic() + DEADLINE
    while True:
        try:
            return json.loads(function.ask(request, timeout=DEADLINE).body)
        except (OSError, HTTPException):  # the emulator does not listen yet
            assert time.monotonic() < limit, function.log
            status = function.ended(pause=0.05)
            assert status is None, f"It ended with status {status}:\n{function.log}"
