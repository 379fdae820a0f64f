"""``serving inspect``."""

import json
from pathlib import Path

import pytest

from serving.compilation import timing
from serving.compilation.conversion import convert_model
from serving.settings import Settings
from tests.cli.conftest import Command

ANY = "any, as its script decides"


def test_the_facts_of_a_model_are_a_table(command: Command, folders: dict[str, Path]) -> None:
    result = command("inspect", folders["onnx"])
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[:4] == [
        "engine          onnx",
        "inputs          x: float32 (any, 2)",
        "outputs         doubled: float32 (any, 2)",
        "                total: float32 (any)",
    ]
    assert lines[-2:] == ["script          none", "batches         yes"]
    assert "accept          application/json" in lines


def test_programs_get_json(command: Command, folders: dict[str, Path]) -> None:
    result = command("inspect", "--json", folders["xgboost"])
    facts = json.loads(result.out)
    assert facts.pop("accept")[0] == "text/csv"
    assert "text/libsvm" in facts.pop("content_types")
    assert facts == {
        "engine": "xgboost",
        "inputs": [{"name": "features", "dtype": "float32", "shape": [None, 2]}],
        "outputs": [{"name": "score", "dtype": "float32", "shape": [None]}],
        "script": "none",
        "batches": "yes",
    }


def test_the_libraries_of_a_package_that_has_two_are_told(
    command: Command, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    both = convert_model(folders["xgboost"], tmp_path / "both", Settings(workers=1), None).folder
    (line,) = [
        line for line in command("inspect", both).out.splitlines() if line.startswith("libraries")
    ]
    assert "XGBoost for" in line


def test_what_a_script_decides_is_said(command: Command, folders: dict[str, Path]) -> None:
    facts = json.loads(command("inspect", "--json", folders["script"]).out)
    assert facts == {
        "engine": "script",
        "inputs": [],
        "outputs": [],
        "content_types": ANY,
        "accept": ANY,
        "script": "decode, encode, predict",
        "batches": "no",
    }
    shown = command("inspect", folders["script"]).out
    assert "inputs          unknown until a request comes\n" in shown
    assert f"content types   {ANY}\n" in shown


def test_an_archive_is_inspected_like_its_directory(
    command: Command, folders: dict[str, Path], tmp_path: Path
) -> None:
    archive = tmp_path / "model.tar.gz"
    assert command("pack", folders["xgboost"], "-o", archive).status == 0
    assert command("inspect", archive) == command("inspect", folders["xgboost"])


def test_settings_change_what_is_found(command: Command, folders: dict[str, Path]) -> None:
    variables = {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/json"}
    facts = json.loads(command("inspect", "--json", folders["xgboost"], **variables).out)
    assert facts["accept"][0] == "application/json"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("broken", "xgboost-model is damaged"),
        ("empty", "has no model this server knows"),
        ("absent", "does not exist"),
    ],
)
def test_what_does_not_load_is_refused_in_one_line(
    command: Command, folders: dict[str, Path], tmp_path: Path, name: str, told: str
) -> None:
    result = command("inspect", folders.get(name, tmp_path / name))
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("serving: ")
    assert told in result.err
    assert result.err.count("\n") == 1
