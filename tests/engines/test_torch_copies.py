"""Copies to a GPU beside what it computes.

No GPU is needed: stand-ins for CUDA's streams and events write down what is asked of them, and in
which order, and the CPU's memory stands for the GPU's.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from serving.engines import torch_copies, torch_runner
from serving.engines.torch_copies import Copies
from serving.engines.torch_runner import Runner, Whole
from serving.errors import ModelLoadError, OutOfMemory
from serving.model import Tensor
from tests.support import PATIENCE

CPU = torch.device("cpu")
X = (Tensor("x", "float32", (None, 2)),)
ROWS = {"x": np.ones((3, 2), np.float32)}


class Stream:
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls

    def wait_event(self, event: "Event") -> None:
        self.calls.append(f"{self.name} waits for what {event.recorded} had to do")


class Event:
    recorded = ""

    def record(self, stream: Stream) -> None:
        self.recorded = stream.name


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the stand-ins."""
    calls: list[str] = []
    current = ["compute"]

    @contextmanager
    def stream(used: Stream) -> Iterator[None]:
        current.append(used.name)
        yield
        current.pop()

    def pin_memory(tensor: torch.Tensor) -> torch.Tensor:
        calls.append(f"pin {tuple(tensor.shape)}")
        return tensor

    def to(tensor: torch.Tensor, device: torch.device, **options: Any) -> torch.Tensor:
        calls.append(f"copy to {device} on {current[-1]}, {options}")
        return tensor.clone()

    def record_stream(_tensor: torch.Tensor, used: Stream) -> None:
        calls.append(f"memory is in use on {used.name}")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("copies", calls))
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("compute", calls))
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch.Tensor, "record_stream", record_stream)
    return calls


def on_gpu(module: Any) -> Runner:
    """A runner as on a GPU."""
    runner = Runner(module, X, torch.device("cuda:1"))
    runner.device = CPU
    return runner


def test_rows_go_through_pinned_memory_on_a_stream_of_their_own(calls: list[str]) -> None:
    def double(x: torch.Tensor) -> torch.Tensor:
        calls.append("compute")
        return x * 2

    assert on_gpu(double)(ROWS)["output_0"].tolist() == [[2, 2]] * 3
    assert calls == [
        "pin (3, 2)",
        "copy to cuda:1 on copies, {'non_blocking': True}",
        "compute waits for what copies had to do",
        "memory is in use on compute",
        "compute",
    ]


def test_rows_are_copied_while_others_are_computed(calls: list[str]) -> None:
    computing, leave = threading.Event(), threading.Event()
    copied = threading.Event()

    def slow(x: torch.Tensor) -> torch.Tensor:
        computing.set()
        assert leave.wait(PATIENCE)
        return x

    runner = on_gpu(slow)
    begin = Copies.begin

    def begin_and_tell(self: Copies, tensors: Any) -> Any:
        begun = begin(self, tensors)
        if computing.is_set():
            copied.set()
        return begun

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_copies.Copies, "begin", begin_and_tell)
        threads = [threading.Thread(target=runner, args=(ROWS,)) for _ in range(2)]
        threads[0].start()
        assert computing.wait(PATIENCE)
        threads[1].start()
        assert copied.wait(PATIENCE)
        assert calls.count("compute waits for what copies had to do") == 1
        leave.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert calls.count("compute waits for what copies had to do") == 2


def test_a_call_that_fails_lets_the_next_compute(calls: list[str]) -> None:
    def fail(_x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    runner = on_gpu(fail)
    for _ in range(2):
        with pytest.raises(OutOfMemory):
            runner(ROWS)
    assert calls.count("compute waits for what copies had to do") == 2


def test_what_a_script_made_is_moved_as_it_is(calls: list[str]) -> None:
    runner = on_gpu(lambda x: x)
    assert runner(Whole(torch.ones(1, 2)))["output_0"].tolist() == [[1, 1]]
    assert calls == ["copy to cpu on compute, {}"]


def test_only_a_gpu_has_two_calls_at_once(calls: list[str]) -> None:
    assert on_gpu(lambda x: x).overlap == 2
    runner = Runner(lambda x: x, X, CPU)
    assert runner.overlap == 1
    assert len(runner(ROWS)["output_0"]) == 3
    assert calls == ["copy to cpu on compute, {}"]


@pytest.mark.parametrize(("gpu", "found"), [(0, "cuda:0"), (1, "cuda:1")])
def test_a_model_runs_on_the_gpu_that_is_chosen(
    monkeypatch: pytest.MonkeyPatch, gpu: int, found: str
) -> None:
    assert str(torch_runner.device(gpu)) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(torch_runner.device(gpu)) == found
    with pytest.raises(ModelLoadError, match=r"SERVING_GPU=2: the GPUs here have numbers below 2"):
        torch_runner.device(2)
