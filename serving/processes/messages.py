"""What the frames between the server and a model's process say."""

import json
import math
from collections.abc import Callable
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import Any, get_origin

import orjson

from serving import targets
from serving.errors import BadRequest, PredictionError, ServingError
from serving.settings import Settings
from serving.single import INVOCATIONS
from serving.values import Request, Response


class Kind(IntEnum):
    """What a frame says."""

    # From the server.
    LOAD = 1
    REQUEST = 2
    CANCEL = 3
    """Nobody waits for the answer, or for more of it."""
    NEXT = 4
    """The next chunk of a streamed body is wanted."""
    COUNT = 5
    """The counts are wanted."""

    # From the model's process.
    READY = 11
    """The model is loaded; the head is its engine's name."""
    FAILED = 12
    """It cannot be loaded; the head says why, as that of the next. The body is
    STARVED where that is for want of memory."""
    BROKEN = 13
    """It cannot answer well any more."""
    RESPONSE = 14
    STREAM = 15
    """A response whose body comes in chunks, each when it is wanted."""
    CHUNK = 16
    END = 17
    """The body is complete."""
    ERROR = 18
    """The body breaks off; head and body are those of the error's response."""
    COUNTS = 19


STARVED = b"memory"
"""Body of FAILED."""

READERS: dict[Any, Callable[[Any], Any]] = {
    Path: Path,
    range: lambda bounds: range(*bounds),
    tuple: tuple,
    frozenset: frozenset,
}
"""What makes a setting's value of JSON's, by its type, where JSON has none like it."""


def write_load(name: str, folder: Path, settings: Settings) -> bytes:
    """What a model's process has to know to load it."""
    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    # Paths may hold bytes that are no UTF-8, which orjson refuses.
    return json.dumps([name, str(folder), values], default=_plain).encode()


def read_load(head: bytes) -> tuple[str, Path, Settings]:
    """The model's name in logs, its folder and the settings."""
    name, folder, values = json.loads(head)
    for item in fields(Settings):
        reader = READERS.get(get_origin(item.type) or item.type)
        if reader is not None:
            values[item.name] = reader(values[item.name])
    return name, Path(folder), Settings(**values)


def write_request(request: Request) -> bytes:
    """The head of a request. The deadline is as good there: one clock runs for all processes.

    Raises:
        BadRequest: a header field is no text.
    """
    try:
        head = dict(request.headers), request.query, request.deadline
        if targets.spoken(request.path):
            return orjson.dumps((*head, request.method, request.path))
        return orjson.dumps(head)
    except TypeError as error:
        raise BadRequest(f"The request's header fields are no text: {error}.") from error


def read_request(head: bytes, body: bytes) -> Request:
    """The request that a head and a body make.

    The path of an invocation is that of a server of one model.
    """
    headers, query, deadline, *route = orjson.loads(head)
    method, path = route or ("POST", INVOCATIONS)
    # JSON has no infinity.
    limit = math.inf if deadline is None else deadline
    return Request(method, path, headers, body, query, limit)


def write_response(response: Response) -> bytes:
    """The head of a response.

    Raises:
        PredictionError: a header field is no text.
    """
    try:
        return orjson.dumps((response.status, response.content_type, response.headers))
    except TypeError as error:
        raise PredictionError(f"The response's header fields are no text: {error}.") from error


def read_response(head: bytes, body: Any) -> Response:
    """The response that a head and a body make."""
    status, content_type, headers = orjson.loads(head)
    return Response(status, body, content_type, tuple((name, value) for name, value in headers))


def read_error(head: bytes, body: bytes) -> ServingError:
    """The error whose response ``problems.response`` made: its response will be the same."""
    response = read_response(head, body)
    told = orjson.loads(body)
    kind: type[ServingError] = type(told["type"], (ServingError,), {"status": response.status})
    error = kind(told["message"])
    error.headers = response.headers
    return error


def _plain(value: object) -> object:
    if isinstance(value, range):
        return [value.start, value.stop, value.step]
    return sorted(value) if isinstance(value, frozenset) else str(value)
