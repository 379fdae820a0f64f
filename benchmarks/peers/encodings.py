"""How a row is written into a request's body, and how the numbers of an answer are read.

Each encoding is a pair of functions. `read` gives the numbers in an answer whatever shape the peer
gives it, so that one encoding serves several peers; it raises ValueError where there are none.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Body(NamedTuple):
    """What is sent."""

    data: bytes
    headers: Mapping[str, str]


class Encoding(NamedTuple):
    """A row as bytes, and an answer as numbers."""

    write: Callable[[Array], Body]
    """Takes one row, shape (features,)."""
    read: Callable[[bytes, Mapping[str, str]], Array]
    """Takes an answer and its headers, their names in lower case; shape (outputs,)."""


def _csv(row: Array) -> Body:
    return Body(",".join(map(str, row)).encode(), {"Content-Type": "text/csv"})


def _json(row: Array) -> Body:
    return _as_json({"instances": [_values(row)]})


def _npy(row: Array) -> Body:
    buffer = io.BytesIO()
    np.save(buffer, row.reshape(1, -1))
    return Body(buffer.getvalue(), {"Content-Type": "application/x-npy"})


def _raw(row: Array) -> Body:
    return Body(row.astype("<f4").tobytes(), {"Content-Type": "application/octet-stream"})


def _v2_json(row: Array) -> Body:
    return _as_json({"inputs": [{**_tensor(row), "data": _values(row)}]})


def _v2_binary(row: Array) -> Body:
    """The Open Inference Protocol's extension for binary tensors."""
    data = row.astype("<f4").tobytes()
    tensor = {**_tensor(row), "parameters": {"binary_data_size": len(data)}}
    # With no word of its own an output comes as JSON.
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return Body(head + data, headers)


def _tensor(row: Array) -> dict[str, Any]:
    return {"name": "input", "shape": [1, len(row)], "datatype": "FP32"}


def _values(row: Array) -> list[float]:
    """The shortest numbers that read back as these float32, so that no peer loses a bit."""
    return [float(str(value)) for value in row]


def _as_json(document: Any) -> Body:
    data = json.dumps(document, separators=(",", ":")).encode()
    return Body(data, {"Content-Type": "application/json"})


def _read_text(body: bytes, _headers: Mapping[str, str]) -> Array:
    """All numbers of a JSON document, or of a row of CSV."""
    try:
        document = json.loads(body)
    except json.JSONDecodeError:
        document = [float(value) for value in body.decode().strip().split(",")]
    return _array(_numbers(document))


def _read_npy(body: bytes, _headers: Mapping[str, str]) -> Array:
    array = np.load(io.BytesIO(body), allow_pickle=False)
    return np.asarray(array, np.float32).reshape(-1)


def _read_raw(body: bytes, _headers: Mapping[str, str]) -> Array:
    return np.frombuffer(body, "<f4")


def _read_v2(body: bytes, headers: Mapping[str, str]) -> Array:
    """The first output, whether it is in the document or behind it."""
    length = int(headers.get("inference-header-content-length", len(body)))
    output = json.loads(body[:length])["outputs"][0]
    size = output.get("parameters", {}).get("binary_data_size")
    if size is not None:
        return np.frombuffer(body[length : length + size], "<f4")
    return _array(_numbers(output["data"]))


def _numbers(document: Any) -> Iterator[float]:
    if isinstance(document, dict):
        for value in document.values():
            yield from _numbers(value)
    elif isinstance(document, list):
        for value in document:
            yield from _numbers(value)
    elif isinstance(document, float | int) and not isinstance(document, bool):
        yield document


def _array(numbers: Iterator[float]) -> Array:
    found = np.array(list(numbers), np.float32)
    if not found.size:
        raise ValueError("there is no number in it")
    return found


ENCODINGS = {
    "csv": Encoding(_csv, _read_text),
    "json": Encoding(_json, _read_text),
    "npy": Encoding(_npy, _read_npy),
    "raw": Encoding(_raw, _read_raw),
    "v2-json": Encoding(_v2_json, _read_v2),
    "v2-binary": Encoding(_v2_binary, _read_v2),
}
