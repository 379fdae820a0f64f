"""``serving edge``: what it prints, and how it ends."""

from pathlib import Path

import pytest

from serving.bundle import archive
from serving.cli import main
from tests.models import stump


def test_a_package_is_written_tried_out_and_described(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LEVEL", 1)
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
