"""Inference requests and responses: JSON, and the bytes that may follow it.

Inference-Header-Content-Length tells the length of the JSON; without it there is nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from serving.codecs import Outputs, json
from serving.errors import BadRequest, DecodeError, UnsupportedMediaType
from serving.oip import datatypes
from serving.oip.datatypes import Array
from serving.values import Request, Response

HEADER_LENGTH = "inference-header-content-length"

UNSUPPORTED = ("shared_memory_region", "classification")
"""Parameters of Triton's other extensions, without which an answer would be wrong."""


class Wanted(NamedTuple):
    """An output that the client asks for."""

    name: str
    binary: bool


class Asked(NamedTuple):
    """An inference request."""

    id: str
    inputs: dict[str, Array]
    """Elements of BYTES are bytes."""
    outputs: tuple[Wanted, ...]
    """Empty: all."""
    binary: bool
    """Whether outputs come as bytes where the client does not say so of each."""
    parameters: Mapping[str, Any]


def read(request: Request) -> Asked:
    """The inference request in a body.

    Raises:
        DecodeError: it is not JSON, or not as the protocol has it; says what would be.
        UnsupportedMediaType: it is compressed.
    """
    coding = request.headers.get("content-encoding", "identity")
    if coding != "identity":
        raise UnsupportedMediaType(f"Content-Encoding {coding[:40]!r} is not read; send it plain.")
    head, binary = _parts(request)
    try:
        content = orjson.loads(head)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"The body is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise DecodeError('The body takes an object: {"inputs": [...]}.')
    parameters = _parameters(content, "The request")
    name = content.get("id", "")
    if not isinstance(name, str):
        raise DecodeError('"id" takes text.')
    as_bytes = _flag(parameters, "binary_data_output", default=False)
    return Asked(
        id=name,
        inputs=_inputs(content, binary),
        outputs=tuple(_wanted(item, binary=as_bytes) for item in _objects(content, "outputs")),
        binary=as_bytes,
        parameters=parameters,
    )


def write(asked: Asked, model: str, version: str, outputs: Outputs) -> Response:
    """The response with the outputs that were asked for.

    Raises:
        BadRequest: the model does not have one of them.
        NotAcceptable: one is of a type that the protocol, or JSON, does not have.
    """
    check(asked, outputs)
    wanted = asked.outputs or [Wanted(name, asked.binary) for name in outputs]
    described: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, binary in wanted:
        array = outputs[name]
        about = {"name": name, "datatype": datatypes.name_of(name, array), "shape": array.shape}
        if binary:
            data = datatypes.to_bytes(name, array)
            parts.append(data)
            described.append({**about, "parameters": {"binary_data_size": len(data)}})
        else:
            described.append({**about, "data": orjson.Fragment(json.dumps(array.ravel()))})
    return response(asked, model, version, described, parts)


def response(
    asked: Asked,
    model: str,
    version: str,
    outputs: Sequence[Mapping[str, Any]],
    parts: Sequence[bytes],
) -> Response:
    """The response of outputs that are described, and the bytes of those that are binary."""
    content: dict[str, Any] = {"model_name": model, "model_version": version}
    if asked.id:
        content["id"] = asked.id
    head = orjson.dumps({**content, "outputs": outputs})
    if not parts:
        return Response(200, head, "application/json")
    length = ((HEADER_LENGTH, str(len(head))),)
    return Response(200, b"".join((head, *parts)), "application/octet-stream", length)


def check(asked: Asked, outputs: Sequence[str] | Mapping[str, Any]) -> None:
    """Return if the model has the outputs that are asked for. Raises BadRequest if not."""
    for name, _ in asked.outputs:
        if name not in outputs:
            raise BadRequest(
                f"The model has no output {name[:40]!r}; it has {', '.join(outputs) or 'none'}."
            )


def _parts(request: Request) -> tuple[bytes, bytes]:
    """The JSON, and what follows it."""
    text = request.headers.get(HEADER_LENGTH)
    if text is None:
        return request.body, b""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise DecodeError(f"Inference-Header-Content-Length {text[:40]!r} is no number of bytes.")
    length = int(text)
    if length > len(request.body):
        raise DecodeError(
            f"Inference-Header-Content-Length is {length}; the body has {len(request.body)} bytes."
        )
    return request.body[:length], request.body[length:]


def _inputs(content: Mapping[str, Any], binary: bytes) -> dict[str, Array]:
    inputs: dict[str, Array] = {}
    position = 0
    for item in _objects(content, "inputs"):
        name = _name(item, "input")
        if name in inputs:
            raise DecodeError(f"Input {name!r} is there twice.")
        size = _size(item, name)
        if size is not None:
            end = position + size
            if end > len(binary):
                raise DecodeError(
                    f"The binary data end within input {name!r}: {len(binary)} bytes follow the "
                    "JSON, whose length Inference-Header-Content-Length has to tell."
                )
            inputs[name] = _array(item, name, binary[position:end])
            position = end
        else:
            inputs[name] = _array(item, name, None)
    if not inputs:
        raise DecodeError('"inputs" takes a list of at least one tensor.')
    if position != len(binary):
        raise DecodeError(
            f"The inputs have {position} bytes of binary data together; {len(binary)} bytes "
            "follow the JSON."
        )
    return inputs


def _array(item: Mapping[str, Any], name: str, binary: bytes | None) -> Array:
    datatype = datatypes.known(name, item.get("datatype"))
    shape = item.get("shape")
    if not isinstance(shape, list) or len(shape) > datatypes.MAX_AXES:
        raise DecodeError(
            f'Input {name!r} takes a "shape", a list of at most {datatypes.MAX_AXES} lengths.'
        )
    if not all(type(length) is int and length >= 0 for length in shape):
        raise DecodeError(
            f"Input {name!r} has the shape {str(shape)[:80]}; lengths are whole numbers, and none "
            "is below 0."
        )
    if 0 in shape:
        raise DecodeError(f"Input {name!r} of shape {shape} has no values.")
    if binary is not None:
        if "data" in item:
            raise DecodeError(f'Input {name!r} has both "data" and a binary_data_size.')
        return datatypes.from_bytes(name, datatype, shape, binary)
    if "data" not in item:
        raise DecodeError(f'Input {name!r} has neither "data" nor a binary_data_size.')
    return datatypes.from_json(name, datatype, shape, item["data"])


def _size(item: Mapping[str, Any], name: str) -> int | None:
    """Bytes of an input that are not in the JSON; None: its values are."""
    size = _parameters(item, f"Input {name!r}").get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise DecodeError(f"The binary_data_size of input {name!r} is no number of bytes.")
    return size


def _wanted(item: Mapping[str, Any], *, binary: bool) -> Wanted:
    name = _name(item, "output")
    parameters = _parameters(item, f"Output {name!r}")
    return Wanted(name, _flag(parameters, "binary_data", default=binary))


def _objects(content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    items = content.get(key) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DecodeError(f'"{key}" takes a list of objects, one for each tensor.')
    return items


def _name(item: Mapping[str, Any], kind: str) -> str:
    name = item.get("name")
    if not isinstance(name, str) or not name:
        raise DecodeError(f'Each {kind} takes a "name".')
    return name


def _parameters(content: Mapping[str, Any], owner: str) -> Mapping[str, Any]:
    parameters = content.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise DecodeError(f'{owner} has "parameters" that are no object.')
    for name in UNSUPPORTED:
        if name in parameters:
            raise BadRequest(f"{owner} has the parameter {name}, which this server does not know.")
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise DecodeError(f"The parameter {name} takes true or false.")
    return value
