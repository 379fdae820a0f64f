"""Errors of CUDA: which of them cost the process, and what the engines make of those."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from serving.engines import cuda, onnx, rows, script, torch_formats, torch_runner
from serving.errors import DeviceLost, OutOfMemory, PredictionError
from serving.model import Model, Tensor
from serving.settings import Settings
from serving.values import Payload

ASSERTED = (
    "CUDA error: device-side assert triggered\n"
    "CUDA kernel errors might be asynchronously reported at some other API call.\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)
REFUSED = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Gather node. "
    "Status Message: CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; "
    "expr=cudaStreamSynchronize(stream);"
)
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.00 GiB."
CPU = torch.device("cpu")
X = {"x": np.ones((1, 2), np.float32)}


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(ASSERTED),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("CUDA error: misaligned address"),
        RuntimeError("CUDA error: unknown error"),
        RuntimeError("CUDA driver error: unknown error"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("copy_ failed with cudaErrorIllegalAddress"),
        Fail(REFUSED),
        Fail("CUDA error cudaErrorLaunchFailure:unspecified launch failure"),
    ],
)
def test_a_corrupt_state_costs_the_process(error: Exception) -> None:
    assert cuda.lost(error)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(FULL),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: invalid configuration argument"),
        RuntimeError("CUDA error: no kernel image is available for execution on the device"),
        Fail("CUDA failure 2: out of memory ; GPU=0"),
        RuntimeError("The size of tensor a (2) must match the size of tensor b (3)"),
        RuntimeError("unknown error"),
        RuntimeError("cudaErrorUnknownSymbol"),
    ],
)
def test_what_passes_does_not(error: Exception) -> None:
    assert cuda.lost(error) == ""


@pytest.mark.parametrize("kind", [ValueError, KeyError, Exception])
def test_a_clients_words_do_not(kind: type[Exception]) -> None:
    assert cuda.lost(kind("no such word: 'CUDA error: device-side assert triggered'")) == ""


def runner(module: Callable[..., Any]) -> torch_runner.Runner:
    return torch_runner.Runner(module, (Tensor("x", "float32", (None, 2)),), CPU)


def test_a_module_that_loses_the_gpu_says_so_in_one_line() -> None:
    with pytest.raises(DeviceLost) as loss:
        runner(raising(RuntimeError(ASSERTED)))(X)
    assert str(loss.value) == "The model failed: CUDA error: device-side assert triggered"


def test_so_does_one_whose_failure_shows_when_its_result_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch_runner, "to_array", raising(RuntimeError(ASSERTED)))
    with pytest.raises(DeviceLost, match="device-side assert"):
        runner(lambda x: x)(X)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(FULL), MemoryError()])
def test_one_that_runs_out_of_memory_says_so_and_may_try_again(error: Exception) -> None:
    with pytest.raises(OutOfMemory):
        runner(raising(error))(X)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), OutOfMemory),
        (RuntimeError("CUDA error: out of memory"), OutOfMemory),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), OutOfMemory),
        (Fail("CUDA failure 2: out of memory ; GPU=0"), OutOfMemory),
        (Fail("BFCArena: Failed to allocate memory for requested buffer of size 4"), OutOfMemory),
        (RuntimeError(ASSERTED), DeviceLost),
        (RuntimeError("The size of tensor a (2) must match"), PredictionError),
        (ValueError("the client's words: out of memory"), PredictionError),
    ],
)
def test_what_an_exception_is_to_the_client(error: Exception, kind: type[Exception]) -> None:
    assert cuda.kind(error) is kind


class Lost(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(ASSERTED)


def test_a_module_of_python_code_says_so_too() -> None:
    model = torch_formats.of_module(Lost(), Settings())
    with pytest.raises(DeviceLost):
        model.predict(Payload({"input": np.ones((1, 2), np.float32)}))


def test_an_onnx_session_that_loses_the_gpu_says_so() -> None:
    class Session:
        run = staticmethod(raising(Fail(REFUSED)))

        def get_outputs(self) -> list[Any]:
            return []

    with pytest.raises(DeviceLost, match="an illegal memory access"):
        onnx.caller(Session())(X)


def scripted(folder: Path, error: str) -> Model:
    program = folder / "code" / "inference.py"
    program.parent.mkdir()
    program.write_text(
        "def model_fn(model_dir):\n    return None\n"
        f"def predict_fn(data, model):\n    raise {error}\n"
    )
    settings = Settings()
    return script.override(None, script.load(program, folder), folder, settings)


def test_a_script_that_loses_the_gpu_says_so(tmp_path: Path) -> None:
    model = scripted(tmp_path, f"RuntimeError({ASSERTED!r})")
    with pytest.raises(DeviceLost) as loss:
        model.predict(Payload(None))
    assert str(loss.value) == "predict_fn failed: CUDA error: device-side assert triggered"


def test_a_gpu_lost_to_made_up_rows_fails_the_load() -> None:
    with pytest.raises(DeviceLost):
        rows.try_out(raising(DeviceLost("Gone.")), (Tensor("x", "float32", (None, 2)),))


def test_so_does_one_lost_to_the_comparison_of_two_rows() -> None:
    def call(data: rows.Arrays) -> rows.Arrays:
        if len(data["x"]) > 1:
            raise DeviceLost("Gone.")
        return data

    with pytest.raises(DeviceLost):
        rows.try_out(call, (Tensor("x", "float32", (None, 2)),))
