"""Bodies to named tensors and back: what engines share whose models declare their inputs.

A body is an array, a table or JSON. An array or a table is the one input, or, where there are
several, gives each its columns in the order of their declaration. JSON may be

- ``[[1, 2], [3, 4]]``, the one input, or rows with the columns of several,
- ``{"instances": [...]}``, a list of records: values, ``{"features": [...]}`` as SageMaker's own
  algorithms take them, or an object with a value for each input,
- ``{"inputs": ...}``, the one input, or an object with an array for each,
- an object with an array for each input.

Where no ambiguity arises, a single record may stand without the list around it.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from serving import media
from serving.codecs import BY_NAME, CODECS, Codec, Outputs, Sparse, csv, find, jsonlines
from serving.engines.fitting import Array, cells, columns, dense, describe, fit
from serving.errors import DecodeError, NotAcceptable, SettingError
from serving.model import Tensor
from serving.settings import Settings
from serving.values import Payload, Prediction, Request, Response

DEFAULT_CONTENT_TYPE = "application/json"
"""For requests that name none."""

READS = tuple(codec.media_type for codec in CODECS)
WRITES = (
    "application/json",
    "text/csv",
    "application/jsonlines",
    "application/x-npy",
    "application/x-recordio-protobuf",
)

Arrays = dict[str, Array]
Stacks = Callable[[Hashable], bool]
"""Whether payloads with this merge key may be stacked."""


def decode(request: Request, inputs: tuple[Tensor, ...], stacks: Stacks) -> Payload:
    """The request's body as an array for each input.

    Raises:
        UnsupportedMediaType: the Content-Type is none of READS.
        DecodeError: the body is malformed, or does not fit the inputs; says what would.
    """
    content_type = media.parse(request.headers.get("content-type") or DEFAULT_CONTENT_TYPE)
    codec = find(content_type, READS)
    if codec is csv.CODEC:
        value = _table(request.body, content_type, inputs)
    else:
        value = codec.decode(request.body, content_type)
    return payload(assign(value, codec, inputs), inputs, stacks)


def assign(value: Any, codec: Codec, inputs: Sequence[Tensor]) -> Arrays:
    """A decoded value as an array for each input. Raises DecodeError where it does not fit."""
    if isinstance(value, Sparse):
        value = dense(value, inputs)
    if isinstance(value, np.ndarray):
        return _whole(value, inputs, record=codec is not csv.CODEC)
    if codec is jsonlines.CODEC:
        return _records(value, inputs)
    return _json(value, inputs)


def payload(arrays: Mapping[str, Array], inputs: Sequence[Tensor], stacks: Stacks) -> Payload:
    """Arrays that fit their inputs as a payload, with its rows counted.

    Raises:
        DecodeError: there is no row, or the inputs differ in their number of rows.
    """
    counts = {
        tensor.name: len(arrays[tensor.name])
        for tensor in inputs
        if tensor.shape[:1] in ((None,), ()) and arrays[tensor.name].ndim
    }
    rows = next(iter(counts.values()), 1)
    if len(set(counts.values())) > 1:
        if all(tensor.shape for tensor in inputs):
            listing = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise DecodeError(f"The inputs differ in their number of rows: {listing}.")
        return Payload(arrays)
    if not rows:
        raise DecodeError("The body has no rows.")
    key = merge_key(arrays)
    return Payload(arrays, rows, key if stacks(key) else None)


def merge_key(arrays: Mapping[str, Array]) -> Hashable:
    """Equal for arrays whose rows can be stacked."""
    return tuple((name, array.dtype, array.shape[1:]) for name, array in arrays.items())


def from_value(value: Any, inputs: tuple[Tensor, ...], stacks: Stacks) -> Payload:
    """What a script's ``input_fn`` returned, an array for the one input or a mapping of arrays.

    Raises:
        DecodeError: it does not fit the inputs.
    """
    named = isinstance(value, Mapping)
    return payload(
        _by_name(value, inputs) if named else _whole(value, inputs, record=False), inputs, stacks
    )


def take(
    arrays: Mapping[str, Array], _request: Request, inputs: Sequence[Tensor], stacks: Stacks
) -> Payload:
    """Named arrays as they are. Raises DecodeError where they do not fit the inputs."""
    return payload(_by_name(arrays, inputs), inputs, stacks)


def encode(prediction: Prediction, accept: str, _request: Request) -> Response:
    """Named arrays as a response. Raises NotAcceptable where the format cannot carry them."""
    return Response(200, BY_NAME[accept].encode(prediction.outputs), accept)


def writes(settings: Settings, example: Outputs | None = None) -> tuple[str, ...]:
    """Media types a model can answer with, the default first.

    Args:
        settings: Their ``default_accept`` comes first.
        example: Outputs of the model; what cannot carry these is left out.

    Raises:
        SettingError: the model cannot answer with the default that the settings ask for.
    """
    able = tuple(name for name in WRITES if example is None or _carries(BY_NAME[name], example))
    return preferred(able, settings)


def preferred(able: tuple[str, ...], settings: Settings) -> tuple[str, ...]:
    """The media types a model can answer with, the one that the settings ask for first.

    Raises:
        SettingError: the settings ask for another.
    """
    if not settings.default_accept:
        return able
    codec = BY_NAME.get(settings.default_accept.partition(";")[0].strip().lower())
    if codec is None or codec.media_type not in able:
        raise SettingError(
            f"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT={settings.default_accept!r} is nothing this "
            f"model can answer with; it can answer with {', '.join(able)}."
        )
    return tuple(sorted(able, key=codec.media_type.__ne__))


def _carries(codec: Codec, outputs: Outputs) -> bool:
    try:
        codec.encode(outputs)
    except NotAcceptable:
        return False
    return True


def _table(body: bytes, content_type: media.MediaType, inputs: Sequence[Tensor]) -> Array:
    dtypes = {tensor.dtype or "float32" for tensor in inputs}
    if len(dtypes) == 1 and (dtype := np.dtype(dtypes.pop())).kind in "iuf":
        return csv.decode(body, content_type, dtype)
    return cells(csv.decode_cells(body, content_type), inputs)


def _json(value: Any, inputs: Sequence[Tensor]) -> Arrays:
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return _records(value, inputs)
        return _whole(value, inputs, record=True)
    if not isinstance(value, dict):
        raise DecodeError(f"The body is a single value; the model takes {describe(inputs)}.")
    names = {tensor.name for tensor in inputs}
    if len(value) == 1 and value.keys() != names:
        ((form, inner),) = value.items()
        if form == "instances":
            return _records(inner, inputs)
        if form == "features":
            return _records([value], inputs)
        if form == "inputs" and not isinstance(inner, dict):
            return _whole(inner, inputs, record=True)
        if form == "inputs":
            value = inner
    return _by_name(value, inputs)


def _by_name(values: Mapping[str, Any], inputs: Sequence[Tensor]) -> Arrays:
    if values.keys() != {tensor.name for tensor in inputs}:
        raise DecodeError(f"The body names {_names(values)}; the model takes {describe(inputs)}.")
    return {tensor.name: fit(values[tensor.name], tensor, record=True) for tensor in inputs}


def _records(records: Any, inputs: Sequence[Tensor]) -> Arrays:
    if not isinstance(records, list) or not records:
        raise DecodeError('"instances" takes a list of at least one record.')
    if not isinstance(records[0], dict):
        return _whole(records, inputs, record=False)
    names = {tensor.name for tensor in inputs}
    keys = {"features"} if records[0].keys() == {"features"} else names
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict) or record.keys() != keys:
            found = _names(record) if isinstance(record, dict) else "no object"
            raise DecodeError(
                f"Record {number} has {found}; each takes a value for {', '.join(sorted(keys))}. "
                f"The model takes {describe(inputs)}."
            )
    if keys != names:
        return _whole([record["features"] for record in records], inputs, record=False)
    return {
        tensor.name: fit([record[tensor.name] for record in records], tensor) for tensor in inputs
    }


def _whole(value: Any, inputs: Sequence[Tensor], *, record: bool) -> Arrays:
    """A value without names: the one input, or a table with the columns of several."""
    if len(inputs) == 1:
        return {inputs[0].name: fit(value, inputs[0], record=record)}
    table = value if isinstance(value, np.ndarray) else np.asarray(value, dtype=object)
    return columns(table[np.newaxis] if record and table.ndim == 1 else table, inputs)


def _names(values: Mapping[str, Any]) -> str:
    return ", ".join(sorted(str(name)[:40] for name in list(values)[:10])) or "nothing"
