"""Whether a model's rows are independent of each other, and batches of a fixed length.

A model may only be given the rows of several requests at once if that changes no row's answer. A
model file does not say so: it is found out, by comparing two rows predicted together with the same
rows predicted one by one.
"""

import logging
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.codecs import Outputs
from serving.errors import DeviceLost, OutOfMemory, ServingError
from serving.model import Tensor

log = logging.getLogger("serving")

Arrays = Mapping[str, NDArray[Any]]
Call = Callable[[Arrays], Outputs]
"""A model: named inputs to named outputs. Raises ServingError."""

FREE_LENGTHS = (1, 32)
"""Tried in turn for the free axes of made-up rows: tokens, and pixels of an image."""


class Trial(NamedTuple):
    """What calling a model with made-up rows showed."""

    sample: Arrays | None = None
    """One row that the model answered; None where none could be made."""
    outputs: Outputs | None = None
    """The answer to two rows, or to one where the rows depend on each other."""
    independent: bool = False
    """Whether rows may be stacked."""


def settle(
    call: Call, inputs: tuple[Tensor, ...], outputs: Sequence[Tensor]
) -> tuple[Call, tuple[Tensor, ...], Trial]:
    """How to call a model, what it takes called so, and what a trial of that showed.

    A model made for batches of one fixed length takes any number of rows, in batches of that
    length, if its rows are independent.
    """
    lengths = {tensor.shape[0] if tensor.shape else None for tensor in (*inputs, *outputs)}
    size = lengths.pop() if inputs and len(lengths) == 1 else None
    if size:
        batched = in_batches(call, size)
        free = tuple(tensor._replace(shape=(None, *tensor.shape[1:])) for tensor in inputs)
        trial = try_out(batched, free)
        if trial.independent:
            return batched, free, trial
    return call, inputs, try_out(call, inputs)


def try_out(call: Call, inputs: Sequence[Tensor]) -> Trial:
    """Call a model with rows made up from the shapes of its inputs."""
    if not inputs or not all(tensor.shape and tensor.dtype for tensor in inputs):
        return Trial()
    free = any(None in tensor.shape[1:] for tensor in inputs)
    for length in FREE_LENGTHS if free else FREE_LENGTHS[:1]:
        first, second = (_made_up(inputs, length, seed) for seed in (1, 2))
        try:
            outputs = call(first)
        except (DeviceLost, OutOfMemory):
            raise  # whatever is tried next fails for that reason
        except ServingError as error:
            log.info("the model did not answer a made-up row: %s", error)
            continue
        if all(tensor.shape[0] is None for tensor in inputs):
            together = compare(call, first, second)
            if together is not None:
                return Trial(first, together, independent=True)
        return Trial(first, outputs)
    return Trial()


def compare(call: Call, first: Arrays, second: Arrays) -> Outputs | None:
    """The answer to two rows together, if it is that to each alone, up to rounding; else None.

    Args:
        call: The model.
        first: One row.
        second: Another.
    """
    try:
        alone = call(first), call(second)
        together = call(concatenate([first, second]))
    except DeviceLost:
        raise
    except ServingError:
        return None
    if any(np.shape(values)[:1] != (1,) for outputs in alone for values in outputs.values()):
        return None
    if not alone[0].keys() == alone[1].keys() == together.keys():
        return None
    same = all(
        _close(values, np.concatenate([outputs[name] for outputs in alone]))
        for name, values in together.items()
    )
    return together if same else None


def concatenate(parts: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """The rows of all parts in one mapping of arrays."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def in_batches(call: Call, size: int) -> Call:
    """A call that takes any number of rows, of one that takes exactly ``size``.

    The last batch is filled up with its last row, and its answer cut.
    """

    def batched(data: Arrays) -> Outputs:
        rows = len(next(iter(data.values())))
        answers = []
        for start in range(0, rows, size):
            part = {name: values[start : start + size] for name, values in data.items()}
            missing = size - min(size, rows - start)
            if missing:
                padding = {name: values[-1:].repeat(missing, 0) for name, values in part.items()}
                part = concatenate([part, padding])
            answers.append(call(part))
        return {name: values[:rows] for name, values in concatenate(answers).items()}

    return batched


def _made_up(inputs: Sequence[Tensor], length: int, seed: int) -> dict[str, NDArray[Any]]:
    source = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
    row = {}
    for tensor in inputs:
        first, *rest = tensor.shape
        shape = (first or 1, *(axis or length for axis in rest))
        if tensor.dtype == "str":
            row[tensor.name] = np.full(shape, "ab"[seed % 2], dtype=object)
        elif np.dtype(tensor.dtype).kind == "f":
            row[tensor.name] = _random(shape, source).astype(tensor.dtype)
        else:
            # Indices, as into a table of words, are safest small.
            row[tensor.name] = (_random(shape, source) >= 0.5).astype(tensor.dtype)
    return row


def _random(shape: tuple[int, ...], source: random.Random) -> NDArray[Any]:
    """Numbers from 0 to 1; numpy.random would take longer to import than many a model to load."""
    numbers = np.frombuffer(source.randbytes(4 * math.prod(shape)), np.uint32)
    return (numbers / 2**32).reshape(shape)


def _close(values: NDArray[Any], expected: NDArray[Any]) -> bool:
    if values.shape != expected.shape or values.dtype.kind != "f":
        return np.array_equal(values, expected)
    tolerance = 1e-2 if values.dtype == np.float16 else 1e-3
    scale = float(np.max(np.abs(expected), initial=0, where=np.isfinite(expected)))
    return np.allclose(values, expected, tolerance, tolerance * scale * 1e-2, equal_nan=True)
