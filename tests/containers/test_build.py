"""build.sh tells what it can do, and in one line what it lacks."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = [
    *("help", "venv", "demo", "test", "lint", "lock", "edge", "clients", "base", "cpu"),
    *("list", "sizes", "push", "save", "wheelhouse", "test-image", "run"),
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run build.sh where no engine answers."""
    return subprocess.run(
        [ROOT / "build.sh", *arguments],
        env=os.environ | {"DOCKER_HOST": "unix:///nowhere/docker.sock"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help_has_a_line_for_every_command(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    told = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [word for word in told if word in COMMANDS] == COMMANDS


def test_an_unknown_command_gets_the_help_and_status_2() -> None:
    done = run("deploy")
    assert done.returncode == 2
    assert done.stderr == run("help").stdout
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        *(("base",), ("cpu",), ("gpu",), ("neuron",), ("lambda",), ("run", "."), ("sizes",)),
        *(("push", "cpu", "--registry", "127.0.0.1:9"), ("save", "cpu")),
    ],
)
def test_what_needs_an_engine_says_so_in_one_line(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"'{arguments[0]}' needs a Docker engine" in line


def test_the_list_has_every_image_where_no_engine_answers() -> None:
    done = run("list")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows[1:]] == [
        f"hybrid-serving:{name}" for name in ("cpu", "gpu", "neuron", "lambda")
    ]
    assert {row[-1] for row in rows[1:]} == {"-"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("cpu", "--only", "xgboost,keras"), "'keras'"),
        (("cpu", "--ca", "nowhere.pem"), "there is no nowhere.pem"),
        (("cpu", "--fast"), "unrecognized arguments: --fast"),
        (("cpu", "--ca"), "--ca: expected one argument"),
        (("lambda", "--only", "torch"), "xgboost and onnx, with commas between; 'torch'"),
        (("push", "cpu"), "--registry"),
        (("wheelhouse", "anywhere", "--image", "tpu"), "there is no image tpu, but cpu, gpu"),
        (("base", "--mirror"), "--mirror needs a value"),
        (("run",), "needs the folder of a model"),
        (("run", "build.sh"), "is no folder"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple[str, ...], complaint: str) -> None:
    done = subprocess.run(
        ["./build.sh", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
