"""``serving compile``."""

import sys
import warnings
from pathlib import Path

import pytest
import torch

from tests import neuron
from tests.cli.conftest import Command


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> neuron.Library:
    library = neuron.Library()
    monkeypatch.setitem(sys.modules, "torch_neuronx", library)
    return library


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(torch.nn.Flatten()), folder / "model.pt")
    (tmp_path / "sample.csv").write_text("1,2,3\n")
    return folder


def test_it_compiles_for_neuron_and_says_what_it_made(
    command: Command, model: Path, tmp_path: Path, library: neuron.Library
) -> None:
    output = tmp_path / "out"
    result = command(
        *("compile", model, "--neuron", "--sample", tmp_path / "sample.csv"),
        *("--batch-sizes", "8,1", "--target", "trn1", "-o", output),
    )
    assert (result.status, result.err) == (0, "")
    assert result.out == f"{output}: model_b1.pt, model_b8.pt\n"
    options = {"compiler_args": "--target trn1", "cpu_backend": True}
    assert library.traced == [([(1, 3)], options), ([(8, 3)], options)]


def test_it_says_that_a_script_is_left_out(
    command: Command, model: Path, tmp_path: Path, library: neuron.Library
) -> None:
    (model / "code").mkdir()
    (model / "code" / "inference.py").write_text(
        "import torch\ndef model_fn(model_dir):\n    return torch.nn.Flatten()\n"
    )
    sample = tmp_path / "sample.csv"
    result = command("compile", model, "--neuron", "--sample", sample, "-o", tmp_path / "out")
    assert result.status == 0
    assert result.out.endswith("\ncode/ is left out: its model_fn would load another model\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "one of the arguments --neuron is required"),
        (("--neuron",), "--neuron needs --sample"),
        (("--neuron", "--batch-sizes", "1,x"), "'1,x' is no list of numbers such as 1,8"),
        (("--neuron", "--batch-sizes", "0"), "'0' is no list of numbers such as 1,8"),
    ],
)
def test_what_it_cannot_do_is_refused(
    command: Command, model: Path, arguments: tuple[str, ...], reason: str
) -> None:
    result = command("compile", model, *arguments)
    assert (result.status, result.out) == (2, "")
    assert reason in result.err
