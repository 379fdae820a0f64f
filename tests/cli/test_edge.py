"""``serving edge``: what it prints, and how it ends."""

import zipfile
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from serving.bundle import archive, edge, libraries
from serving.cli import main
from tests.models import stump


def test_a_package_is_written_tried_out_and_described(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LEVEL", 1)
    monkeypatch.setattr(libraries, "OLDEST_PYTHON", (3, 11))  # whatever runs this
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
    (tmp_path / "model").mkdir()
    stump().save_model(tmp_path / "model" / "model.json")
    output = tmp_path / "out" / "edge.zip"
    assert main(["edge", str(tmp_path / "model"), "--output", str(output)]) == 0
    assert output.stat().st_size < archive.MOST_ZIPPED
    told = capsys.readouterr().out
    for part in ("model", "serving", "numpy", "orjson", "onnxruntime", "together"):
        assert f"\n{part} " in told
    assert "are the same to the last bit" in told
    assert "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=application/json" in told
    assert "tried out here" in told
    with zipfile.ZipFile(output) as packed:
        names = packed.namelist()
    compiled = Path(cache_from_source("serving/hosts/edge/handler.py")).as_posix()
    assert compiled in names
    assert "no bytecode" not in told


def test_a_package_without_bytecode_is_told_to_start_slowly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        edge, "build", lambda *_, **__: edge.Built([], "3.99", False, False, [], {})
    )
    (tmp_path / "model").mkdir()
    assert main(["edge", str(tmp_path / "model")]) == 0
    assert "there is no python3.99 on the PATH" in capsys.readouterr().out


def test_the_router_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "edge.zip"
    assert main(["edge", "--forward", "https://a.example.com", "--output", str(output)]) == 0
    assert "passes requests on to https://a.example.com" in capsys.readouterr().out
    assert output.exists()


@pytest.mark.parametrize("arguments", [[], ["model", "--forward", "https://a.example.com"]])
def test_it_takes_a_model_or_a_server(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["edge", *arguments]) == 2
    assert "Name a model, or a server with --forward URL" in capsys.readouterr().err
