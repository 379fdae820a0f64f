"""Calls PyTorch's modules with named arrays. Imports PyTorch: import it only for such a model."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from serving import footprint
from serving.codecs import Outputs
from serving.engines import cuda, rows, tensors
from serving.engines.torch_copies import Copies
from serving.errors import BadRequest, DeviceLost, ModelLoadError, PredictionError
from serving.model import Native, Tensor
from serving.values import Payload

MAX_SHAPES = 64
"""Shapes of rows with which a model of unknown shapes is tried."""

FAILURES = (
    *(RuntimeError, AssertionError, IndexError, TypeError, ValueError, MemoryError),
    torch.jit.Error,
)
"""What modules raise."""

NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)
"""Types of fractions that NumPy has too."""

Array = NDArray[Any]

footprint.caches.append(torch.cuda.empty_cache)  # does nothing without a GPU


class Whole(NamedTuple):
    """An ``input_fn``'s value that is no named tensors: the module's one argument, as it is."""

    value: Any


class Runner:
    """Calls a module with named arrays, and names the tensors it answers with.

    The only output is ``output_0``; those in a tuple are ``output_0``, ``output_1`` and so on;
    those in a dictionary have its keys.
    """

    def __init__(
        self, module: Callable[..., Any], inputs: Sequence[Tensor], where: torch.device
    ) -> None:
        self.device = where
        self._copies = Copies(where) if where.type == "cuda" else None
        self._module = module
        self._inputs = tuple(inputs)
        # The result's structure, with names in place of the tensors: the same at every call.
        self._structure: Any = None

    def __call__(self, data: rows.Arrays | Whole) -> Outputs:
        """Named arrays to named arrays.

        Raises:
            BadRequest: a condition that an exported program sets its inputs is not met.
            PredictionError: the module failed, or answered with something else than tensors.
            DeviceLost: the GPU is lost to this process.
        """
        with torch.inference_mode():
            try:
                if self._copies is None or isinstance(data, Whole):
                    return self._answer(self._arguments(data))
                arguments, arrived = self._copies.begin(self._tensors(data))
                with self._copies.computing(arguments, arrived):
                    return self._answer(arguments)
            except FAILURES as error:
                raise failure(error) from error

    @property
    def overlap(self) -> int:
        """Calls that may run at once: on a GPU, one whose rows are copied beside one computed."""
        return 1 if self._copies is None else 2

    def native(self, module: Any, inputs: tuple[Tensor, ...], stacks: tensors.Stacks) -> Native:
        """What scripts see of the module: tensors, where the engine has arrays."""

        def payload(value: Any) -> Payload:
            arrays = as_arrays(value, inputs)
            if arrays is None:
                return Payload(Whole(value))
            return tensors.from_value(arrays, inputs, stacks)

        def argument(data: rows.Arrays) -> Any:
            values = self._arguments(data)
            return values[0] if len(values) == 1 else dict(zip(data, values, strict=True))

        return Native(lambda: module, payload, argument, self._restore)

    def _answer(self, arguments: Sequence[Any]) -> Outputs:
        leaves: dict[str, Any] = {}
        self._structure = name_leaves(self._module(*arguments), "", leaves)
        # What fails on a GPU may only be noticed when its result is fetched.
        return {key: to_array(key, leaf) for key, leaf in leaves.items() if leaf is not None}

    def _tensors(self, data: rows.Arrays) -> list[torch.Tensor]:
        return [to_tensor(data[tensor.name]) for tensor in self._inputs]

    def _arguments(self, data: rows.Arrays | Whole) -> list[Any]:
        if isinstance(data, Whole):
            value = data.value
            return [value.to(self.device) if isinstance(value, torch.Tensor) else value]
        return [tensor.to(self.device) for tensor in self._tensors(data)]

    def _restore(self, outputs: Outputs) -> Any:
        return _rebuild(self._structure, outputs)


class Stacking:
    """Whether a module of unknown shapes takes stacked rows, which is learned by trying.

    The first request of each shape of rows is predicted again, together with a row made of it.
    """

    def __init__(self, call: rows.Call, limit: int = MAX_SHAPES) -> None:
        self._call = call
        self._limit = limit
        self._known: dict[Hashable, bool] = {}

    def __call__(self, key: Hashable) -> bool:
        """Whether rows with this merge key may be stacked, as far as is known."""
        return self._known.get(key, False)

    def learn(self, payload: Payload) -> None:
        """Try the shape of these rows, unless it was tried."""
        data = payload.data
        if payload.merge_key is not None or isinstance(data, Whole):
            return
        key = tensors.merge_key(data)
        if key in self._known or len(self._known) >= self._limit:
            return
        rows_of = {array.shape[:1] for array in data.values()}
        if len(rows_of) != 1 or () in rows_of:
            return
        first = {name: array[:1] for name, array in data.items()}
        second = {name: np.flip(array[-1:], -1) for name, array in data.items()}
        # Two rows that are the same would tell nothing.
        if any(not np.array_equal(first[name], second[name]) for name in data):
            self._known[key] = rows.compare(self._call, first, second) is not None


def device(gpu: int) -> torch.device:
    """Where modules run: on that GPU of those the process sees, or the CPU where it sees none.

    Raises:
        ModelLoadError: there are GPUs, but not that one.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if gpu >= count:
        raise ModelLoadError(f"SERVING_GPU={gpu}: the GPUs here have numbers below {count}.")
    return torch.device("cuda", gpu)


def to_tensor(array: Array) -> torch.Tensor:
    """A tensor that shares the array's memory, where PyTorch allows that."""
    shareable = array.flags.writeable and array.flags.c_contiguous
    return torch.from_numpy(array if shareable else array.copy())


def to_array(name: str, leaf: Any) -> Array:
    """A tensor or number of a module's result as an array.

    Raises:
        PredictionError: it is neither.
    """
    if isinstance(leaf, bool | int | float):
        return np.asarray(leaf)
    if not isinstance(leaf, torch.Tensor):
        raise PredictionError(
            f"The model answered {type(leaf).__name__} as {name}, where a tensor was expected."
        )
    if leaf.layout != torch.strided:
        leaf = leaf.to_dense()
    if leaf.is_floating_point() and leaf.dtype not in NUMPY_FLOATS:
        leaf = leaf.float()
    array: Array = leaf.numpy(force=True)
    return array


def as_arrays(value: Any, inputs: Sequence[Tensor]) -> Any:
    """An ``input_fn``'s value with arrays for tensors; None if it is not as the inputs declare."""
    if not inputs:
        return None
    if isinstance(value, Mapping):
        if value.keys() != {tensor.name for tensor in inputs}:
            return None
        arrays = {name: as_arrays(item, inputs[:1]) for name, item in value.items()}
        return None if any(array is None for array in arrays.values()) else arrays
    if isinstance(value, torch.Tensor):
        plain = value.device.type == "cpu" and value.layout == torch.strided
        exact = not value.is_floating_point() or value.dtype in NUMPY_FLOATS
        return value.numpy(force=True) if plain and exact else None
    return value if isinstance(value, np.ndarray | list) and len(inputs) == 1 else None


def failure(error: BaseException) -> BadRequest | PredictionError:
    """What a module's exception means to the client."""
    if reason := cuda.lost(error):
        return DeviceLost(f"The model failed: {reason}")
    # TorchScript's message is a listing that ends with what happened.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else ""
    if reason.startswith("Guard failed"):
        return BadRequest(f"The model refuses the input: {reason}.")
    return cuda.kind(error)(f"The model failed: {type(error).__name__}: {reason}")


def name_leaves(value: Any, name: str, leaves: dict[str, Any]) -> Any:
    """The structure of a module's result with a name for each leaf; ``leaves`` gets the leaves."""
    if isinstance(value, Mapping):
        return {
            key: name_leaves(item, f"{name}_{key}" if name else str(key), leaves)
            for key, item in value.items()
        }
    if isinstance(value, tuple | list):
        parts = [
            name_leaves(item, f"{name or 'output'}_{index}", leaves)
            for index, item in enumerate(value)
        ]
        return parts if isinstance(value, list) else tuple(parts)
    leaves[name or "output_0"] = value
    return name or "output_0"


def _rebuild(structure: Any, outputs: Outputs) -> Any:
    if isinstance(structure, dict):
        return {key: _rebuild(item, outputs) for key, item in structure.items()}
    if isinstance(structure, tuple | list):
        return type(structure)(_rebuild(item, outputs) for item in structure)
    return to_tensor(outputs[structure]) if structure in outputs else None
