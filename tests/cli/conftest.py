"""What the tests of commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import onnx
import pytest

from serving.cli import main
from tests.models import SCRIPT, doubling, stump
from tests.support import environment


class Result(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    """Runs a command in this process; what is given by name are variables of its environment."""

    def run(*arguments: str | Path, **variables: str) -> Result:
        variables = {"SERVING_CACHE": str(tmp_path / "cache"), **variables}
        monkeypatch.setattr(os, "environ", environment(**variables))
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as left:  # argparse ends so
            status = left.code if isinstance(left.code, int) else 1
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model directories: a good one of each kind, and bad ones."""
    root = tmp_path_factory.mktemp("folders")
    folders = {name: root / name for name in ("xgboost", "onnx", "script", "broken", "empty")}
    for folder in folders.values():
        folder.mkdir()
    stump().save_model(folders["xgboost"] / "model.json")
    onnx.save(doubling(), folders["onnx"] / "model.onnx")
    (folders["script"] / "code").mkdir()
    (folders["script"] / "code" / "inference.py").write_text(SCRIPT)
    (folders["broken"] / "xgboost-model").write_bytes(stump().save_raw("ubj")[:-100])
    return folders
