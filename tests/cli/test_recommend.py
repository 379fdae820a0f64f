"""``serving recommend``: from a model and a request to settings that can be pasted."""

from pathlib import Path

import pytest
import xgboost

from serving.cli import main
from serving.cli.recommend import ROWS, THREADS, WORKERS, grid
from serving.compilation import timing
from serving.errors import SettingError
from serving.recommend.trial import Level
from tests.models import stump

FEW = ("--seconds", "0.1", "--try", f"{WORKERS}=1", "--try", f"{THREADS}=1")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SERVING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    folder = tmp_path / "model"
    folder.mkdir()
    stump().save_model(folder / "model.json")
    (tmp_path / "row.csv").write_bytes(b"0,5\n")
    return folder


def recommend(model: Path, *arguments: str) -> int:
    return main(["recommend", str(model), "--payload", str(model.parent / "row.csv"), *arguments])


def test_the_best_settings_come_with_the_evidence_and_the_price(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recommend(model, *FEW, "--try", f"{ROWS}=64", "--price", "0.2") == 0
    said = capsys.readouterr()
    first, _, *settings = said.out.splitlines()
    assert "predictions/s, with" in first
    assert settings[:3] == [f"    {WORKERS}=1", f"    {THREADS}=1", f"    {ROWS}=64"]
    assert settings[3].startswith("    SERVING_ENGINE=")
    assert "a million predictions cost" in said.out
    assert "\nInference library: " in said.out
    for engine in ("", "xgboost", "onnx"):
        row = f"| {WORKERS}=1, {THREADS}=1, {ROWS}=64, SERVING_ENGINE={engine} |"
        assert said.out.count(row) == 1


def test_a_model_that_xgboost_alone_can_serve_is_tried_with_that(
    model: Path, capsys: pytest.CaptureFixture[str], boosters: dict[str, xgboost.Booster]
) -> None:
    boosters["linear"].save_model(model / "model.json")
    (model.parent / "row.csv").write_bytes(b"1,2,3,4,5\n")
    assert recommend(model, *FEW, "--try", f"{ROWS}=64") == 0
    said = capsys.readouterr()
    assert said.err.startswith("XGBoost alone is tried: ")
    assert "SERVING_ENGINE" not in said.out


def test_a_latency_that_nothing_keeps_is_said_with_the_nearest(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = [Level(1, 100.0, 0.01, 0.02, 0), Level(8, 300.0, 0.03, 0.05, 0)]
    monkeypatch.setattr("serving.recommend.trial.levels", lambda *_: slow)
    assert recommend(model, *FEW, "--try", f"{ROWS}=64", "--latency", "10") == 1
    told = "No settings keep the p99 within 10 ms; the nearest, with 1 connections, p50 10.00 ms"
    assert told in capsys.readouterr().out


def test_a_server_that_does_not_start_ends_it_with_the_reason(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recommend(model, *FEW, "--try", f"{ROWS}=none") == 2
    assert f"does not start with {WORKERS}=1" in (said := capsys.readouterr().err)
    assert ROWS in said


def test_workers_and_threads_are_tried_up_to_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.machine.cpu_count", lambda: 6)
    found = grid({}, {"SERVING_ENGINE": ["xgboost"]})
    assert found[WORKERS] == ["6", "4", "2", "1"]
    assert found[THREADS] == ["1", "2", "4", "6"]
    assert found["SERVING_ENGINE"] == ["xgboost"]


def test_a_wrong_setting_is_refused_before_anything_is_tried() -> None:
    with pytest.raises(SettingError, match=ROWS):
        grid({ROWS: "none"}, {})
