"""ONNX models quantised to 8-bit integers, with what that costs in accuracy."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.compilation import answers, folders, onnx_models
from serving.compilation.answers import Difference
from serving.compilation.onnx_models import Original
from serving.compilation.samples import Arrays
from serving.compilation.timing import Speed
from serving.engines import onnx
from serving.engines.rows import concatenate
from serving.errors import ModelLoadError, SettingError
from serving.settings import Settings

PER_CHANNEL = 13
"""The opset since which a tensor may have a scale for each channel."""

CALIBRATION = 32
"""Rows of one call that calibrates."""


class Quantised(NamedTuple):
    """A model directory that was made, and what its model has become."""

    folder: Path
    file: str
    rows: int
    """For which answers were compared."""
    source: str
    """Where those are from."""
    differences: list[Difference]
    accuracy: tuple[float, float] | None
    """Share of the rows whose class is their label, before and after; None without labels."""
    size: tuple[int, int]
    """Bytes, before and after."""
    speed: list[Speed]


def quantise(
    folder: Path,
    output: Path,
    settings: Settings,
    *,
    sample: Path,
    labels: Path | None = None,
    static: bool = False,
    tolerance: float | None = None,
) -> Quantised:
    """Make a model directory of one with an ONNX model, whose weights are 8-bit integers.

    Args:
        folder: The model directory; what else is in it is copied.
        output: The directory to make.
        settings: How the model is loaded.
        sample: A file with rows for which the answers are compared.
        labels: A file with the class of each row, as a whole number on a line of its own.
        static: Take the ranges of what is computed from every other row of the sample, and compare
            the rest, rather than find them out for each call.
        tolerance: The largest absolute difference that is allowed.

    Raises:
        SettingError: there is an output already, or the sample or the labels do not fit.
        ModelLoadError: there is no ONNX model, it cannot be quantised, or the answers differ by
            more than the tolerance.
    """
    folders.check(folder, output)
    original = onnx_models.read(folder, settings, sample)
    wanted = None if labels is None else _read_labels(labels, original)
    calibration = None
    if static:
        calibration, original = _split(original)
        wanted = None if wanted is None else wanted[1::2]
    expected = onnx_models.answers(original.model, original.calls, original.source)
    with onnx_models.written(original, output) as path:
        onnx_models.attempt("quantised", partial(_write, original.path, path, calibration))
        if _integers(path) <= _integers(original.path):
            raise ModelLoadError(
                f"{original.path.name} has nothing that this quantises; of convolutions, --static "
                "does more."
            )
        model = onnx.load([path], settings)
        found = onnx_models.answers(model, original.calls, original.source)
        differences = answers.measure(expected, found)
        _check(differences, tolerance, original.source)
        accuracy = None
        if wanted is not None:
            shares = [float((answers.classes(each) == wanted).mean()) for each in (expected, found)]
            accuracy = shares[0], shares[1]
        speed = onnx_models.compare_speed(original, model)
        size = original.size, path.stat().st_size
    rows = sum(len(next(iter(call.values()))) for call in original.calls)
    return Quantised(output, path.name, rows, original.source, differences, accuracy, size, speed)


class _Calibration:
    """Inputs as ONNX Runtime's calibration asks for them."""

    def __init__(self, arrays: Arrays) -> None:
        rows = len(next(iter(arrays.values())))
        self._calls = iter(
            [
                {name: values[start : start + CALIBRATION] for name, values in arrays.items()}
                for start in range(0, rows, CALIBRATION)
            ]
        )

    def get_next(self) -> Arrays | None:
        return next(self._calls, None)


def _write(source: Path, target: Path, calibration: Arrays | None) -> None:
    import onnx as library
    from onnxruntime import quantization
    from onnxruntime.quantization.registry import IntegerOpsRegistry

    opsets = library.load(source, load_external_data=False).opset_import
    version = max(each.version for each in opsets if each.domain in ("", "ai.onnx"))
    common = {"per_channel": version >= PER_CHANNEL}
    with onnx_models.scratch() as scratch, _quiet():
        whole, prepared = scratch / "whole.onnx", scratch / "prepared.onnx"
        library.save(library.load(source), whole)  # weights in files beside it would not be found
        # Shapes of symbols are found out by a package that few need, for transformers' graphs.
        quantization.quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        if calibration is not None:
            quantization.quantize_static(prepared, target, _Calibration(calibration), **common)
            return
        # A convolution whose ranges are found out for each call takes longer than one of floats:
        # seven times as long, of 64 channels.
        operators = [name for name in IntegerOpsRegistry if name != "Conv"]
        quantization.quantize_dynamic(prepared, target, op_types_to_quantize=operators, **common)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the library logs; it names each tensor it leaves as it is."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _integers(path: Path) -> int:
    """How many nodes compute with quantised numbers, or make them."""
    import onnx as library

    kinds = [node.op_type for node in library.load(path, load_external_data=False).graph.node]
    marks = ("Integer", "Quantize", "QLinear", "QAttention", "QGemm")
    return sum(any(mark in kind for mark in marks) for kind in kinds)


def _split(original: Original) -> tuple[Arrays, Original]:
    """Every other row to calibrate with, and the model to be tried with the rest."""
    arrays = concatenate(original.calls)
    if not original.stacks or len(next(iter(arrays.values()))) < 2:
        raise SettingError(
            "--static needs a model whose rows are independent, and a sample of two rows or more: "
            "half of them calibrate, half are compared."
        )
    halves = [{name: values[first::2] for name, values in arrays.items()} for first in (0, 1)]
    source = f"every other row of {original.source}"
    return halves[0], original._replace(calls=[halves[1]], source=source)


def _read_labels(path: Path, original: Original) -> NDArray[np.int64]:
    try:
        words = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"The labels {path} cannot be read: {error}.") from error
    wrong = next((word for word in words if not word.removeprefix("-").isdecimal()), None)
    if wrong is not None:
        raise SettingError(
            f"The labels {path} have {wrong!r}; each line has to be the number of a class."
        )
    rows = sum(len(next(iter(call.values()))) for call in original.calls)
    if len(words) != rows:
        raise SettingError(f"{path} has {len(words)} labels; {original.source} has {rows} rows.")
    return np.array(words, np.int64)


def _check(differences: list[Difference], tolerance: float | None, source: str) -> None:
    if tolerance is None:
        return
    for each in differences:
        if each.largest > tolerance:
            raise ModelLoadError(
                f"The answers to {source} differ by {each.largest:.3g} in {each.output} at most "
                f"({each.mean:.3g} in the mean), which is more than --tolerance {tolerance:g}."
            )
