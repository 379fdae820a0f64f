"""The demo, run as ``./build.sh demo`` runs it, in a folder of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any, NamedTuple

import pytest

DEMO = Path(__file__).parents[2] / "inference_scripts" / "demo.py"


class Outcome(NamedTuple):
    status: int
    output: str
    """What went to standard output and to standard error, together."""


def options(folder: Path, **variables: str) -> dict[str, Any]:
    """For a process that runs in a folder and leaves nothing elsewhere."""
    environment = {**os.environ, "SERVING_CACHE": str(folder / "cache"), **variables}
    return {"cwd": folder, "env": environment, "stdout": PIPE, "stderr": STDOUT, "text": True}


def run(command: list[str], folder: Path, **variables: str) -> Outcome:
    done = subprocess.run(command, check=False, **options(folder, **variables))
    return Outcome(done.returncode, done.stdout)


@contextmanager
def serving_demo(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has given its answers and goes on serving."""
    with subprocess.Popen(command, **options(folder)) as process:
        assert process.stdout is not None
        assert any("until Ctrl-C" in line for line in iter(process.stdout.readline, ""))
        yield process


@pytest.fixture
def command(free_port: Callable[[], int]) -> list[str]:
    return [sys.executable, str(DEMO), "--port", str(free_port())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def once(folder: Path, free_port: Callable[[], int]) -> Outcome:
    return run([sys.executable, str(DEMO), "--once", "--port", str(free_port())], folder)


def test_it_trains_packs_serves_and_asks(once: Outcome, folder: Path) -> None:
    assert once.status == 0, once.output
    assert (folder / "model" / "xgboost-model").is_file()
    assert (folder / "model.tar.gz").is_file()

    diagnoses = re.findall(r"([\d.]+)% malignant; the diagnosis was: (\w+)", once.output)
    assert [diagnosis for _, diagnosis in diagnoses] == ["malignant", "benign", "benign"]
    assert [float(percent) > 50 for percent, _ in diagnoses] == [True, False, False]
    assert '{"predictions":[{"score":' in once.output
    assert '{"code":400,' in once.output


def test_it_prints_each_command_and_no_escape_codes_outside_a_terminal(once: Outcome) -> None:
    commands = re.findall(r"^\$ (.*)$", once.output, re.MULTILINE)
    parts = ["train.py model", "pack model", "serve model.tar.gz", "curl", "curl", "curl"]
    assert len(commands) == len(parts)
    assert all(part in line for part, line in zip(parts, commands, strict=True))
    assert "\033" not in once.output


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "closed terminal"]
)
def test_it_serves_until_it_is_told_to_end_and_leaves_no_server(
    number: signal.Signals, command: list[str], tmp_path: Path
) -> None:
    with serving_demo(command, tmp_path) as process:
        process.send_signal(number)
        output, _ = process.communicate()
        assert process.returncode == 0, output
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", int(command[-1]))) != 0


def test_a_server_that_dies_fails_it_and_its_log_is_shown(
    command: list[str], tmp_path: Path
) -> None:
    with serving_demo(command, tmp_path) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        os.killpg(int(children), signal.SIGKILL)
        output, _ = process.communicate()
    assert process.returncode == 1
    assert "The server's log:" in output
    assert "The server ended by itself, with status -9." in output


def test_a_server_that_does_not_start_fails_it_and_its_log_is_shown(
    command: list[str], tmp_path: Path
) -> None:
    status, output = run(command, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="many")
    assert status == 1
    assert "The server ended while starting" in output
    assert "SAGEMAKER_MODEL_SERVER_WORKERS" in output


def test_a_taken_port_is_said_before_anything_is_made(command: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", int(command[-1]))):
        status, output = run(command, tmp_path)
    assert status == 1
    assert f"Port {command[-1]} cannot be used" in output
    assert "--port" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_what_is_no_port_is_refused(port: str, tmp_path: Path) -> None:
    status, output = run([sys.executable, str(DEMO), "--port", port], tmp_path)
    assert status == 2
    assert "--port" in output


def test_a_model_of_someone_else_is_left_alone(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.onnx").write_bytes(b"precious")
    status, output = run(command, tmp_path)
    assert status == 1
    assert "model.onnx" in output
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "model.onnx"]
