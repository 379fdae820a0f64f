"""The four values of a request's way through the core: Request, Payload, Prediction, Response.

Each is made once and never changed. They are named tuples rather than frozen dataclasses because
one of each is made for every request, and a tuple is made in a third of the time.
"""

from collections.abc import AsyncIterator, Hashable, Mapping
from typing import Any, NamedTuple

Headers = Mapping[str, str]
"""Header fields by lower-case name; values of a repeated field are joined by ", "."""


class Request(NamedTuple):
    """What a host received, whole."""

    method: str
    path: str
    """Path without the query, percent-decoded, for example ``/invocations``."""
    headers: Headers
    body: bytes
    query: str = ""
    deadline: float = float("inf")
    """Time after which an answer is worthless, on the clock of ``time.monotonic``, in seconds."""
    target: str = ""
    """The path as it was sent, where the host knows: a signature is of that."""


class Payload(NamedTuple):
    """A decoded request body: what a model's predict function takes."""

    data: Any
    """An array of shape (rows, columns), a mapping of input names to arrays, or what a script's
    ``input_fn`` returned."""
    rows: int = 1
    """Number of records, the length of the first axis."""
    merge_key: Hashable = None
    """Payloads of equal keys may be stacked into one call of the model; None: never."""


class Prediction(NamedTuple):
    """A model's answer, before it is written in a media type."""

    outputs: Any
    """A mapping of output names to arrays whose first axis is the rows, or what a script's
    ``predict_fn`` returned."""


class Response(NamedTuple):
    """What a host sends back."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    content_type: str = ""
    """Empty: the response has no Content-Type, as befits an empty body."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields; never Content-Type, Content-Length or a framing header."""
