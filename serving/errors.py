"""Every error the toolkit raises itself; an exception class carries its HTTP status.

::

    ServingError
    ├── RequestError                      the request cannot be answered
    │   ├── BadRequest                400
    │   │   └── DecodeError           400  the body is not what its Content-Type says
    │   ├── Unauthorized              401  nobody is known to have sent it
    │   │   ├── MissingCredentials    401
    │   │   ├── UnknownCredentials    401
    │   │   ├── ExpiredCredentials    401
    │   │   ├── IncompleteSignature   401  it cannot be read as one
    │   │   └── InvalidSignature      401
    │   ├── Forbidden                 403  the sender is known, and may not
    │   ├── NotFound                  404
    │   │   └── ModelNotFound         404
    │   ├── MethodNotAllowed          405
    │   ├── NotAcceptable             406
    │   ├── RequestTimeout            408
    │   ├── ModelConflict             409  a model of that name is there already
    │   ├── PayloadTooLarge           413
    │   ├── UnsupportedMediaType      415
    │   ├── ExpectationFailed         417
    │   ├── FailedDependency          424  what the request needs beside the model fails
    │   └── HeaderFieldsTooLarge      431
    ├── PredictionError               500  the model or its script failed
    │   ├── DeviceLost            500  and no other prediction of this process can succeed
    │   └── OutOfMemory           507  it needed more memory than there is
    ├── NotImplementedByServer        501
    ├── ServiceUnavailable            503
    │   ├── ModelNotReady             503  loading, or failed to load
    │   ├── Overloaded                503  the queue is full
    │   └── Draining                  503
    ├── DeadlineExceeded              504
    ├── HttpVersionNotSupported       505
    ├── InsufficientStorage           507  there is no memory for the model
    └── ConfigurationError                 for the operator: start-up ends with the message
        ├── SettingError                   a setting has a value that is not allowed
        ├── ArchiveError                   a model archive is refused
        │   └── ArchiveNotFound            there is none
        └── ModelLoadError                 a model directory cannot be loaded
"""

from typing import ClassVar


class ServingError(Exception):
    """Base of all; ``str(error)`` is a sentence fit for the client."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "ServingError"
    """What clients know it by; the class's name, or that of AWS's servers."""
    headers: tuple[tuple[str, str], ...] = ()
    """Header fields for the response, such as Retry-After."""
    request_id: str = ""
    """What the request is called in the log, where whoever catches the error does not know it."""

    def __init_subclass__(cls) -> None:
        cls.type = cls.__dict__.get("type", cls.__name__)


class RequestError(ServingError):
    """The request cannot be answered; what it says names what would be right."""

    status = 400


class BadRequest(RequestError):
    """The request is malformed."""


class DecodeError(BadRequest):
    """The body is not what its Content-Type says, or does not fit the model's inputs."""


class Unauthorized(RequestError):
    """Nobody is known to have sent the request."""

    status = 401


class MissingCredentials(Unauthorized):
    """The request has no credentials that this server takes."""


class UnknownCredentials(Unauthorized):
    """No key of this server has these credentials."""


class ExpiredCredentials(Unauthorized):
    """The key was good until a time that is over."""


class IncompleteSignature(Unauthorized):
    """The signature cannot be read, or does not cover what it has to."""


class InvalidSignature(Unauthorized):
    """The signature is not that of the request as it came, or not of now."""


class Forbidden(RequestError):
    """The sender is known, but the key is for something else."""

    status = 403


class NotFound(RequestError):
    """No such route or model."""

    status = 404


class ModelNotFound(NotFound):
    """No such model."""

    type = "ModelNotFoundException"


class MethodNotAllowed(RequestError):
    """The route exists, the method does not."""

    status = 405


class NotAcceptable(RequestError):
    """No media type the client accepts can be produced."""

    status = 406


class RequestTimeout(RequestError):
    """The client sent its request too slowly."""

    status = 408


class ModelConflict(RequestError):
    """A model of that name is there already."""

    status = 409
    type = "ConflictStatusException"


class PayloadTooLarge(RequestError):
    """The body exceeds the limit."""

    status = 413


class UnsupportedMediaType(RequestError):
    """The model cannot read this Content-Type."""

    status = 415


class ExpectationFailed(RequestError):
    """The Expect field asks for something unknown."""

    status = 417


class FailedDependency(RequestError):
    """Something the request needs beside the model fails, such as the store of sessions."""

    status = 424


class HeaderFieldsTooLarge(RequestError):
    """The header section exceeds the limit."""

    status = 431


class PredictionError(ServingError):
    """The model, or a function of its script, failed."""


class DeviceLost(PredictionError):
    """The device's state is corrupt: no prediction of this process can succeed any more."""


class OutOfMemory(PredictionError):
    """The prediction needed more memory than there is, of the GPU or of the machine."""

    status = 507


class NotImplementedByServer(ServingError):
    """The request asks for a protocol feature the server does not have."""

    status = 501


class ServiceUnavailable(ServingError):
    """Not now; another try may succeed."""

    status = 503


class ModelNotReady(ServiceUnavailable):
    """The model is loading, or failed to load."""


class Overloaded(ServiceUnavailable):
    """The queue is full."""


class Draining(ServiceUnavailable):
    """The server is about to stop."""


class DeadlineExceeded(ServingError):
    """The answer would come too late."""

    status = 504


class HttpVersionNotSupported(ServingError):
    """Neither HTTP/1.0 nor HTTP/1.1."""

    status = 505


class InsufficientStorage(ServingError):
    """There is no memory for the model."""

    status = 507


class ConfigurationError(ServingError):
    """For the operator, not a client: start-up ends with the message."""


class SettingError(ConfigurationError):
    """A setting has a value that is not allowed."""


class ArchiveError(ConfigurationError):
    """A model archive is refused, or cannot be fetched."""


class ArchiveNotFound(ArchiveError):
    """Nothing lies at an archive's address."""


class ModelLoadError(ConfigurationError):
    """A model directory cannot be loaded."""
