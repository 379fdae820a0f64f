"""Errors into responses. The one place that catches every exception."""

import logging
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar, TypeVarTuple

import orjson

from serving import identity, targets
from serving.errors import PredictionError, ServingError
from serving.values import Request, Response

log = logging.getLogger("serving")

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

AWS_PATHS = "/endpoints/"

AWS_TYPES = {408: "RequestTimeout", 503: "ServiceUnavailable"}
"""By which AWS's clients know that another try may succeed."""


def response(error: BaseException, request: Request | None = None) -> Response:
    """The response an exception becomes: JSON with its code, type and message.

    To a request of the Open Inference Protocol it is as that has it, the message as ``error``; to
    one of the SageMaker Runtime API, that was refused before that could answer, as AWS's clients
    make an exception of it.

    An exception that is not the toolkit's own is logged with its traceback, of which the client
    sees nothing, and with what the client named the request, if that is known.
    """
    if isinstance(error, ServingError):
        if error.__cause__ is not None and error.status >= 500:
            log.error("%s", error, exc_info=error.__cause__, extra=_name(error, request))
    else:
        extra = _name(error, request)
        log.error("unexpected %s: %s", type(error).__name__, error, exc_info=error, extra=extra)
        error = PredictionError(f"The server failed with {type(error).__name__}; see its log.")
    # A file name in a message may hold bytes that are no UTF-8.
    message = str(error).encode(errors="replace").decode()
    body: dict[str, object] = {"code": error.status, "type": error.type, "message": message}
    headers = tuple(error.headers)
    if request is not None and targets.spoken(request.path):
        body = {"error": message}
    elif request is not None and request.path.startswith(AWS_PATHS):
        body = {"Message": message}
        headers = (("x-amzn-errortype", _aws_type(error.status)), *headers)
    content = orjson.dumps(body) + b"\n"
    return Response(error.status, content, "application/json", headers)


def catch(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | BaseException:
    """The step's value, or the exception it raised."""
    try:
        return step(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - see _caught
        return _caught(error)


def attempt(step: Callable[[*Ts], T], *args: *Ts) -> T | Response:
    """The step's value, or the Response that ends the request, which may be an argument."""
    try:  # as catch does, without a call in between: each request comes here several times
        return step(*args)
    except BaseException as error:  # noqa: BLE001 - see _caught
        request = next((each for each in args if isinstance(each, Request)), None)
        return response(_caught(error), request)


def _caught(error: BaseException) -> BaseException:
    """The error, unless it is a person's Ctrl-C.

    All else is kept: neither a script that calls sys.exit nor a panic in an extension written in
    Rust, which is no Exception either, may take a model's thread with it.
    """
    ctrl_c = isinstance(error, KeyboardInterrupt)
    if ctrl_c and threading.current_thread() is threading.main_thread():
        raise error
    return error


def _aws_type(status: int) -> str:
    """The name of the exception that AWS's clients raise."""
    return AWS_TYPES.get(status, "ValidationError" if status < 500 else "InternalFailure")


def _name(error: BaseException, request: Request | None) -> dict[str, str]:
    """The field of a log record that says in which request it was."""
    name = getattr(error, "request_id", "") or (identity.given(request.headers) if request else "")
    return {"request_id": name} if name else {}
