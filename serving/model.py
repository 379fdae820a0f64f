"""What every loaded model is: three functions, and the facts a caller needs about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from serving.values import Payload, Prediction, Request, Response

Take = Callable[[Mapping[str, Any], Request], Payload]
"""Makes a payload of named arrays; text is in arrays of objects. Raises DecodeError where they do
not fit."""
Write = Callable[[Mapping[str, Any]], Response]
"""Writes named arrays."""
Give = Callable[[Prediction, Write], Response]
"""Has the named arrays of a prediction written."""


def give(prediction: Prediction, write: Write) -> Response:
    """Have outputs written that are named arrays already."""
    return write(prediction.outputs)


class Tensor(NamedTuple):
    """One input or output of a model."""

    name: str
    dtype: str
    """NumPy's name of the element type, ``float32``; ``str`` for text; empty if not known."""
    shape: tuple[int | None, ...]
    """Axis lengths; None where the length is free, as the first, the rows, usually is. Empty if
    the number of axes is not known."""


class Native(NamedTuple):
    """A model as its library's users know it, for a script that overrides some of the functions.

    It translates between them and the engine's: an ``input_fn`` may return a torch tensor, and an
    ``output_fn`` expects one.
    """

    model: Callable[[], Any]
    """Gives what ``predict_fn`` gets as its model: a Booster, an InferenceSession, a Module."""
    payload: Callable[[Any], Payload]
    """What ``input_fn`` returned to what the engine's predict takes. Raises DecodeError."""
    argument: Callable[[Any], Any]
    """``Payload.data`` of the engine's decode to what ``predict_fn`` gets as its data."""
    result: Callable[[Any], Any]
    """``Prediction.outputs`` of the engine's predict to what ``output_fn`` gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model ready to answer. An engine makes one; a user's script replaces what it overrides.

    The functions raise ``RequestError`` for what the client did wrong and ``PredictionError``, or
    anything else, for what the model did wrong.
    """

    engine: str
    """Name of the engine, for people."""
    decode: Callable[[Request], Payload]
    predict: Callable[[Payload], Prediction]
    encode: Callable[[Prediction, str, Request], Response]
    """The second argument is the media type to answer in: one of ``writes``, or, where that is
    empty, what the client asked for."""
    reads: tuple[str, ...]
    """Content types ``decode`` takes. Empty: the script decides."""
    writes: tuple[str, ...]
    """Media types ``encode`` makes, the default first. Empty: the script decides."""
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    sample: Any = None
    """A one-row ``Payload.data`` made up from the inputs' shapes, for the warm-up and to measure
    what a prediction costs; None where the shapes do not say enough."""
    merge_key: Any = None
    """``Payload.merge_key`` of the sample; None: requests are never stacked."""
    foreign: frozenset[str] = frozenset()
    """Which of "decode", "predict" and "encode" are a user's code, of unknown cost and possibly
    not thread-safe: they run in the model's own thread, never on the event loop."""
    libraries: str = ""
    """Which library predicts how many rows, for people; empty where the engine has one."""
    devices: tuple[str, ...] = ("cpu",)
    """Where it runs."""
    overlap: int = 1
    """Calls of ``predict`` that may run at once, each in a thread of its own: with two, a GPU gets
    the rows of one while it computes the other."""
    native: Native | None = None
    """For scripts; None where the engine cannot be combined with a script's functions."""
    take: Take | None = None
    """For protocols of tensors, in the place of decode; None: a user's code reads the body."""
    give: Give | None = give
    """Likewise in the place of encode; None: a user's code writes the body."""
