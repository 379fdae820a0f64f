"""``serving compile``."""

import re
from pathlib import Path

import onnx
import pytest
import torch

from serving.cli.compile import LEVELS
from serving.compilation import optimization, timing
from tests import neuron
from tests.cli.conftest import Command
from tests.compilation import networks


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> neuron.Library:
    return neuron.provide(monkeypatch)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    neuron.save_scripted(folder / "model.pt", torch.nn.Flatten())
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
    (model / "code" / "inference.py").write_text(neuron.LOADS)
    sample = tmp_path / "sample.csv"
    result = command("compile", model, "--neuron", "--sample", sample, "-o", tmp_path / "out")
    assert result.status == 0
    assert result.out.endswith("\ncode/ is left out: its model_fn would load another model\n")


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures no longer than it has to."""
    monkeypatch.setattr(timing, "SECONDS", 0.0)


TIMES = r" +[\d,]+ µs +[\d,]+ µs   \d+\.\d\d times as fast\n"


@pytest.mark.usefixtures("brief")
def test_a_booster_becomes_an_onnx_model_and_both_are_timed(
    command: Command, folders: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    archive = tmp_path / "model.tar.gz"
    assert command("pack", folders["xgboost"], "-o", archive).status == 0
    result = command("compile", archive, "--onnx", "-o", output, SERVING_THREADS="1")
    assert (result.status, result.err) == (0, "")
    head, table = result.out.split("\n\n")
    assert head.splitlines()[:-1] == [
        f"{output}: model.json.xgb.onnx",
        (
            "model.json: 2000 of 2000 answers to the made-up rows are the same to the last bit; "
            "the largest difference is 0"
        ),
    ]
    choice = "a server on this machine would use (ONNX Runtime|XGBoost) for .+"
    assert re.fullmatch(choice, head.splitlines()[-1])
    title, *lines = table.splitlines(keepends=True)
    assert title.split() == ["XGBoost", "ONNX", "Runtime", "1", "thread,", "medians"]
    for line, rows in zip(lines, ("1 row", "32 rows", "1,024 rows"), strict=True):
        assert re.fullmatch(rows + TIMES, line)


@pytest.mark.usefixtures("brief")
def test_an_optimised_model_is_compared_and_timed(
    command: Command, folders: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    result = command("compile", folders["onnx"], "--optimize", "--level", "basic", "-o", output)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(
        f"{output}: model.onnx, 2 nodes made of 2\nthe answers to the made-up inputs differ by 0 "
        "at most; allowed was 0.0001 of the value + 1e-05 of the output's largest\n\n"
    )
    for what in ("loading", "1 row", "32 rows"):
        assert re.search(f"^{what}{TIMES}", result.out, re.MULTILINE)


def test_the_levels_are_those_there_are() -> None:
    assert tuple(optimization.LEVELS) == LEVELS


@pytest.mark.usefixtures("brief")
def test_what_quantisation_costs_is_reported(command: Command, tmp_path: Path) -> None:
    folder, output = tmp_path / "model", tmp_path / "out"
    folder.mkdir()
    onnx.save(networks.perceptron(), folder / "model.onnx")
    (tmp_path / "labels").write_text("0\n" * 8)
    result = command(
        *("compile", folder, "--int8", "-o", output, "--labels", tmp_path / "labels"),
        *("--sample", networks.rows(tmp_path / "x.npy", 8, networks.FEATURES), "--tolerance", "1"),
    )
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(
        f"{output}: model.onnx\nthe answers to x.npy, 8 rows:\n  y: differs"
    )
    for pattern in (
        r"  y: differs by \S+ at most, \S+ in the mean; the same class for [\d.]+%",
        r"accuracy +[\d.]+% +[\d.]+%",
        r"size +[\d.]+ KB +[\d.]+ KB",
    ):
        assert re.search(f"^{pattern}$", result.out, re.MULTILINE)
    for what in ("1 row", "32 rows"):
        assert re.search(f"^{what}{TIMES}", result.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "one of the arguments --onnx --optimize --int8 --neuron is required"),
        (("--onnx", "--int8"), "not allowed with argument --onnx"),
        (("--neuron",), "--neuron needs --sample"),
        (("--int8",), "--int8 needs --sample"),
        (("--onnx", "--batch-sizes", "1"), "--batch-sizes goes with --neuron"),
        (("--int8", "--level", "all"), "--level goes with --optimize"),
        (("--optimize", "--static"), "--static goes with --int8"),
        (("--int8", "--tolerance", "-1"), "'-1' is no distance such as 0.01"),
        (("--int8", "--tolerance", "x"), "'x' is no distance such as 0.01"),
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
