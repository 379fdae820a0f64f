"""The library without a server."""

from pathlib import Path

import pytest

from benchmarks.peers import library, workloads
from benchmarks.throughput import BenchmarkError, workload


def test_each_model_is_called_by_one_process_and_by_one_a_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "TRAINING_ROWS", 500)
    workloads.make(tmp_path)
    rates = library.rates(tmp_path, 0.1)
    assert list(rates) == ["xgboost", "mlp"]
    assert all(rate > 1 for pair in rates.values() for rate in pair)


def test_a_process_that_fails_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BenchmarkError, match=r"benchmarks\.peers\.library .* ended with 1"):
        library.rates(tmp_path, 0.1)
    assert "model.ubj" in capfd.readouterr().err
