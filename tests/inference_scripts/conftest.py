"""The examples, each trained once, as a person trains it."""

import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

SCRIPTS = Path(__file__).parents[2] / "inference_scripts"


@pytest.fixture(scope="session")
def train() -> Callable[[str, Path], str]:
    """Trains an example into a folder; gives what it printed. A warning fails it."""

    def run(example: str, out_dir: Path) -> str:
        command = [sys.executable, "-W", "error", str(SCRIPTS / example / "train.py"), str(out_dir)]
        done = subprocess.run(command, stdout=PIPE, stderr=STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="session")
def model_dir(
    train: Callable[[str, Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The model directory of an example, trained at the first call."""

    @cache
    def make(example: str) -> Path:
        folder = tmp_path_factory.mktemp(example) / "model"
        train(example, folder)
        return folder

    return make


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds a port of the loopback interface on which nobody listens."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
