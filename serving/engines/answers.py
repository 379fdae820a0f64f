"""What a script's ``output_fn`` or ``transform_fn`` returned, as a response.

It may be a body, a pair of a body and its content type, or an object that is a response itself, as
Flask's are, and ``worker.Response`` of AWS's toolkit that is built on Flask. Such an object has a
``status_code`` or ``status``; ``get_data()``, ``data`` or ``response``; and may have a
``content_type`` or ``mimetype``, and ``headers``.
"""

from collections.abc import Iterable
from typing import Any

from serving.engines.context import SERVERS_OWN, Context
from serving.engines.function import body, failure
from serving.errors import PredictionError
from serving.problems import catch
from serving.streaming import Stream
from serving.values import Response

_BODIES = ("get_data", "data", "response")


def response(name: str, answer: Any, accept: str, context: Context) -> Response:
    """The response that the function called ``name`` returned, with what it set on the context.

    Args:
        name: The function's name.
        answer: What it returned.
        accept: The content type of a body that has no other.
        context: What it set holds before what its answer says, but for the content type.

    Raises:
        PredictionError: it returned nothing of the kinds above.
    """
    if isinstance(answer, tuple) and len(answer) == 2:
        value, content_type = answer
        made = Response(200, body(name, value, context), accept)
    elif (status := _status(name, answer)) and any(hasattr(answer, part) for part in _BODIES):
        content_type = _first(answer, "content_type", "mimetype")
        made = Response(status, _body(name, answer, context), accept, tuple(_fields(answer)))
    else:
        content_type = ""
        made = Response(200, body(name, answer, context), accept)
    made = context.apply(made)
    return made._replace(content_type=str(content_type)) if content_type else made


def _status(name: str, answer: Any) -> int:
    """The status of a response; 0 of anything else."""
    status = _first(answer, "status_code", "status")
    if isinstance(status, str):  # "200 OK"
        status = catch(int, status.partition(" ")[0])
    elif not isinstance(status, int):
        return 0
    if isinstance(status, int) and 200 <= status <= 599:
        return int(status)
    raise PredictionError(
        f"{name} returned a {type(answer).__name__} whose status is not from 200 to 599."
    )


def _body(name: str, answer: Any, context: Context) -> bytes | Stream:
    if getattr(answer, "is_streamed", False):  # to ask for its data would wait for all of them
        return body(name, iter(answer.response), context)
    if hasattr(answer, "get_data"):
        data = catch(answer.get_data)
        if isinstance(data, BaseException):
            raise failure(name, data) from data
        return body(name, data, context)
    return body(name, answer.data if hasattr(answer, "data") else answer.response, context)


def _fields(answer: Any) -> Iterable[tuple[str, str]]:
    """Header fields, without those that the server writes."""
    headers = getattr(answer, "headers", None) or ()
    for field, value in headers.items() if hasattr(headers, "items") else headers:
        if field.lower() not in SERVERS_OWN and field.lower() != "content-type":
            yield field.lower(), str(value)


def _first(answer: Any, *names: str) -> Any:
    return next(
        (value for name in names if (value := getattr(answer, name, None)) is not None), None
    )
