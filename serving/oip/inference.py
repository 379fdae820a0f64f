"""One inference request: between its tensors and what the model takes and answers.

A model that reads and writes tensors gets and gives them. Where a user's script reads the body
itself (``input_fn``, ``transform_fn``), what it takes is not known, and no tensor is made up of it:
the body comes as the one element of an input of BYTES, ``body``, and its Content-Type as the
request's parameter ``content_type``. Likewise what a script writes is the one element of an output
``body``; the parameter ``accept`` says which type is wanted.
"""

from typing import Any

import numpy as np
import orjson

from serving import media
from serving.codecs import Outputs
from serving.errors import BadRequest, NotAcceptable
from serving.model import Model
from serving.oip import datatypes, messages
from serving.oip.messages import Asked
from serving.oip.metadata import BODY, VERSION
from serving.targets import Target
from serving.values import Payload, Prediction, Request, Response

DEFAULT_CONTENT_TYPE = "application/json"


class Inference:
    """Reads a request and writes its answer, in the place of the model's own decode and encode."""

    _asked: Asked
    _request: Request
    """As the model's own functions see it."""

    def __init__(self, model: Model, target: Target) -> None:
        """Make it for one request, which asks ``model`` by the name in ``target``."""
        self._model = model
        self._target = target
        self._accept = ""

    def decode(self, request: Request) -> Payload:
        """The request's tensors as what the model takes.

        Raises:
            DecodeError: they are malformed, or do not fit the model's inputs; says what would.
            BadRequest: the model does not have an output that is asked for.
        """
        model = self._model
        self._asked = asked = messages.read(request)
        self._request = request
        if model.give is None:
            messages.check(asked, [BODY.name])
            self._accept = _text(asked, "accept")
            if model.writes:
                self._accept = media.choose(self._accept, model.writes)
            self._see(accept=self._accept)
        elif model.outputs:
            messages.check(asked, [tensor.name for tensor in model.outputs])
        if model.take is None:
            self._see(**{"content-type": _text(asked, "content_type") or DEFAULT_CONTENT_TYPE})
            self._request = self._request._replace(body=_body(asked))
            return model.decode(self._request)
        arrays = {name: datatypes.text(name, array) for name, array in asked.inputs.items()}
        return model.take(arrays, self._request)

    def encode(self, prediction: Prediction, _accept: str, _request: Request) -> Response:
        """The model's answer as tensors.

        Raises:
            BadRequest: the model does not have an output that is asked for.
            NotAcceptable: an output has a type that the protocol does not have.
        """
        if self._model.give is None:
            return self._wrapped(self._model.encode(prediction, self._accept, self._request))
        return self._model.give(prediction, self._write)

    def _see(self, **headers: str) -> None:
        """Let the model's own functions see these header fields."""
        self._request = self._request._replace(headers={**self._request.headers, **headers})

    def _write(self, outputs: Outputs) -> Response:
        return messages.write(self._asked, self._target.model, VERSION, outputs)

    def _wrapped(self, answer: Response) -> Response:
        """What a script wrote, as a tensor; its errors are those of the protocol."""
        body = answer.body
        if not isinstance(body, bytes):
            raise NotAcceptable(
                "The model streams its answer, which this protocol cannot carry; ask it at "
                "/invocations."
            )
        if not 200 <= answer.status < 300:
            content = orjson.dumps({"error": body.decode(errors="replace")})
            return answer._replace(body=content, content_type="application/json")
        outputs = {BODY.name: np.array([body], object)}
        made = self._write(outputs)
        return made._replace(headers=(*made.headers, *answer.headers))


def _body(asked: Asked) -> bytes:
    """What a script gets to read. Raises BadRequest where the request has something else."""
    found: Any = asked.inputs.get(BODY.name)
    if len(asked.inputs) != 1 or found is None or found.dtype != object or found.size != 1:
        raise BadRequest(
            f"The model's script reads the body itself: send it as {BODY.name!r}, {datatypes.BYTES}"
            " of shape [1], and its Content-Type as the request's parameter content_type."
        )
    body: bytes = found.item()
    return body


def _text(asked: Asked, name: str) -> str:
    value = asked.parameters.get(name, "")
    if not isinstance(value, str) or not value.isprintable():
        raise BadRequest(f"The parameter {name} takes a media type, such as text/csv.")
    return value
