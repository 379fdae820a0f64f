"""The exceptions of the SageMaker Runtime API, and what of the core's answers becomes which.

::

    Fault
    ├── ValidationError                400  the request breaks a rule of the API
    ├── UnknownOperationException      404  the API has nothing at this path
    ├── ModelError                     424  the model answered with an error
    ├── ModelNotReadyException         429  the model is loading
    ├── InternalFailure                500  this server failed, not the model
    └── ServiceUnavailable             503  not now; another try may succeed

Their names are those of the API's definition (botocore, ``sagemaker-runtime/2017-05-13``): a client
makes an exception of that name.
"""

from typing import Any, ClassVar

import orjson

from serving.errors import (
    DeadlineExceeded,
    Draining,
    ModelNotFound,
    ModelNotReady,
    Overloaded,
    ServingError,
)
from serving.values import Response

MAX_MESSAGE = 2048
"""Characters of a message; more are not in the API's definition."""

Headers = tuple[tuple[str, str], ...]


class Fault(ServingError):
    """Base of all; its type is the error's code."""

    def members(self) -> dict[str, Any]:
        """The members of the exception, as its JSON has them."""
        return {"Message": shown(str(self))}


class ValidationError(Fault):
    """The request breaks a rule of the API, or names what does not exist."""

    status = 400


class UnknownOperationException(Fault):
    """The API has no such operation, or this server does not offer it."""

    status = 404


class ModelError(Fault):
    """The model answered with an error."""

    status = 424

    TIMED_OUT: ClassVar[int] = 0
    """The original status of a model that did not answer in time."""

    def __init__(self, status: int, message: str) -> None:
        side = "client" if 400 <= status < 500 else "server"
        super().__init__(f'Received {side} error ({status}) from model with message "{message}".')
        self.original_status = status
        self.original_message = message

    def members(self) -> dict[str, Any]:
        """The members of the exception; there is no log stream to name."""
        return {
            **super().members(),
            "OriginalStatusCode": self.original_status,
            "OriginalMessage": shown(self.original_message),
            "LogStreamArn": "",
        }


class ModelNotReadyException(Fault):
    """The model is loading."""

    status = 429


class InternalFailure(Fault):
    """This server failed, not the model."""

    status = 500


class ServiceUnavailable(Fault):
    """Not now; another try may succeed."""

    status = 503


_OF_THE_SERVER: dict[tuple[int, str], type[Fault]] = {
    (503, ModelNotReady.type): ModelNotReadyException,
    (503, Overloaded.type): ServiceUnavailable,
    (503, Draining.type): ServiceUnavailable,
    (404, ModelNotFound.type): ValidationError,
}
"""What the core says of itself, by status and type. All else is the model's error."""


def of_answer(answer: Response, body: bytes) -> Fault:
    """What an answer of the core that is no success becomes; ``body`` is the beginning of it."""
    kind, message = _problem(answer, body)
    fault = _OF_THE_SERVER.get((answer.status, kind))
    if fault is None:
        if (answer.status, kind) == (DeadlineExceeded.status, DeadlineExceeded.type):
            return ModelError(ModelError.TIMED_OUT, message)
        return ModelError(answer.status, body.decode(errors="replace"))
    error = fault(message)
    error.headers = tuple(field for field in answer.headers if field[0].lower() == "retry-after")
    return error


def passes(fault: Fault) -> bool:
    """Whether the same request may be answered well in a while."""
    return isinstance(fault, ServiceUnavailable | ModelNotReadyException)


def response(fault: Fault, headers: Headers = ()) -> Response:
    """The response that a client's library makes an exception of."""
    content = orjson.dumps(fault.members())
    fields = (("x-amzn-errortype", fault.type), *fault.headers, *headers)
    return Response(fault.status, content, "application/json", fields)


def shown(text: str) -> str:
    """A text as a message can carry it: not too long, and without half characters."""
    return text[:MAX_MESSAGE].encode(errors="replace").decode()


def _problem(answer: Response, body: bytes) -> tuple[str, str]:
    """Type and message of an error of the core's own making; empty where it is not one."""
    if answer.content_type != "application/json":
        return "", ""
    try:
        problem = orjson.loads(body)
        return str(problem["type"]), str(problem["message"])
    except (ValueError, TypeError, KeyError):
        return "", ""
