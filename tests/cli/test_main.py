"""The command line as a whole: help, versions, mistakes."""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from serving import __version__, cli
from tests.cli.conftest import Command


def test_help_names_every_command(command: Command) -> None:
    shown = command("--help")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("usage: serving ")
    for name, summary in cli.COMMANDS.items():
        assert re.search(rf"^ +{name}\b", shown.out, re.MULTILINE)
        assert summary in shown.out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_has_help_of_its_own(command: Command, name: str) -> None:
    shown = command(name, "--help")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"usage: serving {name} ")
    summary = cli.COMMANDS[name]
    assert f"{summary[0].upper()}{summary[1:]}." in " ".join(shown.out.split())


def test_the_version_is_the_packages(command: Command) -> None:
    assert command("--version") == (0, f"hybrid-serving {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("fly",), "invalid choice: 'fly'"),
        (("ping", "--nonsense"), "unrecognized arguments: --nonsense"),
        (("inspect",), "the following arguments are required: model"),
    ],
)
def test_a_mistake_is_explained(command: Command, arguments: tuple[str, ...], told: str) -> None:
    result = command(*arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("usage: serving")
    assert told in result.err


@pytest.mark.parametrize(("script", "usage"), [("serve", "serving serve"), ("serving", "serving")])
def test_there_is_a_script(script: str, usage: str) -> None:
    path = Path(sysconfig.get_path("scripts"), script)
    done = subprocess.run([path, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"usage: {usage} [-h]")


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "serving.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"hybrid-serving {__version__}\n", "")


def test_a_reader_who_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m serving.cli settings; echo $? >&2"
    shell = ["bash", "-c", f"({command}) | true; exit ${{PIPESTATUS[1]}}"]
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] in ("0", "1")
