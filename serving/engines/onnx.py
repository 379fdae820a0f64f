"""ONNX models, run by ONNX Runtime."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.codecs import Outputs
from serving.engines import cuda, declared, rows, tensors
from serving.engines.base import CONVERTED, Engine
from serving.errors import BadRequest, ModelLoadError, PredictionError
from serving.model import Model, Native, Tensor
from serving.settings import Settings
from serving.values import Payload

CUDA = "CUDAExecutionProvider"
WARNING, FATAL = 2, 4
"""Two of ONNX Runtime's severities for its own log."""

DTYPES = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(int8)": "int8",
    "tensor(string)": "str",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(uint8)": "uint8",
}
"""NumPy's names of ONNX Runtime's tensor types; NumPy has none for bfloat16 and the like."""

TABLES = "seq(map("
"""Begins the type of ZipMap's output, which scikit-learn's classifiers have: a dictionary for each
row, from class to probability."""


def files(folder: Path) -> list[Path]:
    """``model.onnx``, or else all ``*.onnx`` but converted boosters."""
    preferred = folder / "model.onnx"
    if preferred.is_file():
        return [preferred]
    return sorted(path for path in folder.glob("*.onnx") if not path.name.endswith(CONVERTED))


def load(paths: list[Path], settings: Settings) -> Model:
    """A model with the inputs and outputs that the file names.

    Rows are stacked where they prove independent. A dictionary for each row, ZipMap's output,
    becomes an output for each key, ``probabilities.setosa``.

    Raises:
        ModelLoadError: there are several files, or the file is no model, or a tensor has a type
            without a counterpart in NumPy.
        ImportError: ONNX Runtime is not installed.
    """
    if len(paths) > 1:
        raise ModelLoadError(
            f"There are several ONNX files, {', '.join(path.name for path in paths)}; name the one "
            "to serve model.onnx."
        )
    session = open_session(paths[0], settings)
    return declared.build(
        ENGINE.name,
        caller(session),
        _specify(session.get_inputs(), paths[0]),
        _specify(session.get_outputs(), paths[0], tables=True),
        settings,
        device=f"cuda:{settings.gpu}" if CUDA in session.get_providers() else "cpu",
        native=partial(_native, session),
    )


def open_session(path: Path, settings: Settings, *, spin: bool = True, gpu: bool = True) -> Any:
    """An InferenceSession of a model file.

    Args:
        path: The file.
        settings: How many threads it gets, and on which GPU it runs.
        spin: Whether its threads may wait busily for the next call. They do where there is one
            worker, since a thread that spins takes the CPU from whatever else computes.
        gpu: Whether it runs on a GPU, if there is one.

    Raises:
        ModelLoadError: the file is no model.
        ImportError: ONNX Runtime is not installed.
    """
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = settings.model_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = WARNING
    spins = spin and settings.workers == 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    available = set(runtime.get_available_providers()) - (set() if gpu else {CUDA})
    if CUDA in available and hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls()  # CUDA's libraries are in wheels, where the linker does not look
    known = {CUDA: {"device_id": settings.gpu}, "CPUExecutionProvider": {}}
    providers = [(name, own) for name, own in known.items() if name in available]
    try:
        return runtime.InferenceSession(path, options, providers)
    except _errors(runtime) as error:
        reason = _reason(error).rpartition(" failed:")[2]
        raise ModelLoadError(f"{path.name} does not load: {reason}") from error


def caller(session: Any) -> rows.Call:
    """How a session is called: named arrays in, named arrays out."""
    import onnxruntime as runtime

    options = runtime.RunOptions()
    # What is wrong with a request is for its sender, not for the log.
    options.log_severity_level = FATAL
    names = [output.name for output in session.get_outputs()]
    refusal = runtime.capi.onnxruntime_pybind11_state.InvalidArgument
    errors = _errors(runtime)

    def call(data: rows.Arrays) -> Outputs:
        try:
            values = session.run(None, data, options)
        except refusal as error:
            raise BadRequest(f"The model refuses the input: {_reason(error)}") from error
        except errors as error:
            raise cuda.kind(error)(f"The model failed: {_reason(error)}") from error
        outputs: dict[str, NDArray[Any]] = {}
        for name, value in zip(names, values, strict=True):
            outputs |= _columns(name, value) if isinstance(value, list) else {name: value}
        return outputs

    return call


def _errors(runtime: Any) -> tuple[type[Exception], ...]:
    """ONNX Runtime's exceptions, which have no base of their own."""
    return tuple(
        value
        for value in vars(runtime.capi.onnxruntime_pybind11_state).values()
        if isinstance(value, type) and issubclass(value, Exception)
    )


def _columns(name: str, table: list[Mapping[Any, Any]]) -> dict[str, NDArray[Any]]:
    keys = table[0].keys() if table else ()
    if any(row.keys() != keys for row in table):
        raise PredictionError(f"The rows of output {name!r} differ in their keys.")
    return {
        f"{name}.{key}": np.array([row[key] for row in table], _dtype(table[0][key]))
        for key in keys
    }


def _dtype(value: object) -> type[np.generic] | type[object]:
    # ONNX maps have no doubles: Python's float is a float32 here.
    return {float: np.float32, int: np.int64}.get(type(value), object)


def _specify(nodes: Sequence[Any], path: Path, *, tables: bool = False) -> tuple[Tensor, ...]:
    found = []
    for node in nodes:
        if node.type in DTYPES:
            # The name of a free axis stands where its length would.
            shape = tuple(axis if isinstance(axis, int) else None for axis in node.shape)
            found.append(Tensor(node.name, DTYPES[node.type], shape))
        elif tables and node.type.startswith(TABLES):
            found.append(Tensor(node.name, "float32", (None, None)))
        else:
            raise ModelLoadError(
                f"{path.name} has {node.name!r} of type {node.type}, which cannot be served; "
                "tensors of numbers, booleans and text can."
            )
    return tuple(found)


def _native(session: Any, inputs: tuple[Tensor, ...], stacks: tensors.Stacks) -> Native:
    def argument(data: Mapping[str, NDArray[Any]]) -> Any:
        return data if len(data) > 1 else next(iter(data.values()))

    def payload(value: Any) -> Payload:
        return tensors.from_value(value, inputs, stacks)

    return Native(lambda: session, payload, argument, result=lambda outputs: outputs)


def _reason(error: Exception) -> str:
    """The library's sentence, without its codes and on one line."""
    return " ".join(str(error).split(" : ")[-1].split())


ENGINE = Engine(name="onnx", extra="onnx", library="onnxruntime", files=files, load=load)
