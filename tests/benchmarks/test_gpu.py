"""The benchmark of a GPU, as far as it goes without one."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import client
from benchmarks.throughput import BenchmarkError
from tests.models import stump
from tests.support import serving


def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("There is no CUDA device for PyTorch ")


def test_the_table_has_medians_and_what_is_reached_of_each() -> None:
    rates = {"bare": [1000.0, 4000.0, 2000.0], "served": [1500.0, 1000.0, 1800.0]}
    assert gpu.table(rates, "served").splitlines()[2:] == [
        "| bare | 2,000 (1,000 to 4,000) | 0.75 |",
        "| served | 1,500 (1,000 to 1,800) | 1.00 |",
    ]


def test_it_measures_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "WIDTH", 8)
    options = Namespace(seconds=0.2, rounds=1, rows=2, connections=2)
    lines = gpu.measure(options, tmp_path, "cpu").splitlines()  # which stands for a GPU
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "bare loop, a request a batch",
        "bare loop, all requests in a batch",
        "served, 2 connections",
    ]


def test_an_answer_that_is_none_ends_it(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    stump().save_model(model / "model.json")
    with (
        serving(model, tmp_path) as server,
        pytest.raises(BenchmarkError, match="The server answered 4"),
    ):
        client.ask(server.port, np.zeros((4, 9), np.float32))
