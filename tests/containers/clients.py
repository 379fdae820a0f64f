"""Programs that call endpoints as AWS's customers do, in an environment of their own."""

import os
import subprocess
from functools import cache
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess

import pytest

from tests.support import environment

ROOT = Path(__file__).parents[2]
PATIENCE = 180.0
"""Longest that a client may take, in seconds."""

ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "no secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    # Nobody listens there: what would call AWS fails at once, and never leaves this machine.
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
}
"""Variables of a customer who has no account and no network."""


@cache
def programs() -> Path:
    """Where the AWS CLI lies, and a Python with SageMaker's SDK; made by build.sh, once."""
    command = ["./build.sh", "clients"]
    done = subprocess.run(command, cwd=ROOT, stdout=PIPE, stderr=STDOUT, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}:\n{done.stdout[-5000:]}")
    return ROOT / "build" / "clients" / "bin"


def run(program: str, *arguments: str | Path, **variables: str) -> CompletedProcess[str]:
    """Run one of the programs to its end."""
    return subprocess.run(
        [programs() / program, *arguments],
        env=environment(**ACCOUNT, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
