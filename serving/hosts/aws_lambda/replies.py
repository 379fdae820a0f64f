"""Answers into replies, of the shape that who sent the event takes."""

import base64
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from awslambdaric.lambda_runtime_exception import FaultException

from serving.errors import PredictionError
from serving.hosts.aws_lambda import limits
from serving.hosts.aws_lambda.events import JSON, Shape
from serving.hosts.messages import Fields, Whole

_TEXTUAL = re.compile(r"text/.*|application/(json|jsonlines|x-ndjson|xml)|.*\+(json|xml)")

SET_COOKIE = "set-cookie"


def reply(shape: Shape, answer: Whole) -> Any:
    """What the function returns for an answer.

    Raises:
        FaultException: the answer to a direct invocation is an error: Lambda tells the caller.
        PayloadTooLarge: the reply would be larger than Lambda or a load balancer takes.
        PredictionError: the answer to a direct invocation is neither JSON nor text.
    """
    status, fields, body = answer
    if shape is Shape.DIRECT:
        found = _direct(status, fields, body)
    else:
        text, encoded = _content(fields, body)
        found = {
            "statusCode": status,
            **_SHAPES[shape](fields),
            "body": text,
            "isBase64Encoded": encoded,
        }
        if shape in (Shape.ALB, Shape.ALB_MULTI):
            found["statusDescription"] = f"{status} {_phrase(status)}"
    limits.check(found, most(shape), len(body))
    return found


def most(shape: Shape) -> int:
    """Most bytes of an event or a reply."""
    behind_alb = shape in (Shape.ALB, Shape.ALB_MULTI)
    return limits.ALB_PAYLOAD if behind_alb else limits.PAYLOAD


def fault(status: int, fields: Fields, body: bytes) -> FaultException:
    """The error of a direct invocation: its type, and "<status>: <message>", without a traceback.

    API Gateway's integrations that are no proxies choose the status by such a message.
    """
    kind, message = _phrase(status).replace(" ", ""), body.decode(errors="replace")
    if _essence(fields) == JSON:
        with suppress(ValueError, KeyError, TypeError):  # a script may answer with JSON of its own
            told = json.loads(body)
            kind, message = told["type"], told["message"]
    return FaultException(str(kind), f"{status}: {str(message).strip()}", None)


def _direct(status: int, fields: Fields, body: bytes) -> Any:
    if status >= 400:
        raise fault(status, fields, body)
    if not body:
        return None
    if _essence(fields) == JSON:
        try:
            return json.loads(body, parse_constant=_refuse)
        except ValueError as error:
            raise PredictionError(f"The answer is not the JSON that it says: {error}.") from error
    text, encoded = _content(fields, body)
    if encoded:
        raise PredictionError(
            f"The answer is {_essence(fields) or 'of no type'}, which the reply to a direct "
            "invocation cannot hold. Send an event with httpMethod, headers and body; its reply "
            "has a body in base64."
        )
    return text


def _phrase(status: int) -> str:
    from http import HTTPStatus  # which most answers do without

    try:
        return HTTPStatus(status).phrase
    except ValueError:  # a script may have one of its own
        return "Unknown"


def _refuse(constant: str) -> Any:
    raise ValueError(f"it has {constant}")


def _content(fields: Fields, body: bytes) -> tuple[str, bool]:
    """The body as text, and whether that is base64."""
    if not body:
        return "", False
    if _TEXTUAL.fullmatch(_essence(fields)):
        try:
            return body.decode(), False
        except UnicodeDecodeError:  # in another character set
            pass
    return base64.b64encode(body).decode(), True


def _essence(fields: Fields) -> str:
    return dict(fields).get("content-type", "").partition(";")[0].strip().lower()


def _rest(fields: Fields) -> dict[str, Any]:
    """Fields that occur once, and all values of the others: API Gateway merges the two."""
    several = {name: values for name, values in _multi(fields).items() if len(values) > 1}
    found: dict[str, Any] = {"headers": {n: value for n, value in fields if n not in several}}
    return {**found, "multiValueHeaders": several} if several else found


def _http(fields: Fields) -> dict[str, Any]:
    """Repeated fields are joined, but for cookies, which cannot be."""
    cookies = [value for name, value in fields if name == SET_COOKIE]
    found: dict[str, Any] = {"headers": _joined(fields)}
    return {**found, "cookies": cookies} if cookies else found


def _alb(fields: Fields) -> dict[str, Any]:
    """As above; each cookie is under a spelling of its own, since there is one value a name."""
    cookies = [value for name, value in fields if name == SET_COOKIE]
    return {"headers": {**_joined(fields), **dict(zip(_spellings(), cookies, strict=False))}}


def _alb_multi(fields: Fields) -> dict[str, Any]:
    return {"multiValueHeaders": _multi(fields)}


_SHAPES = {
    Shape.REST: _rest,
    Shape.HTTP: _http,
    Shape.ALB: _alb,
    Shape.ALB_MULTI: _alb_multi,
}


def _multi(fields: Fields) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


def _joined(fields: Fields) -> dict[str, str]:
    several = _multi(fields)
    return {name: ", ".join(values) for name, values in several.items() if name != SET_COOKIE}


def _spellings() -> Iterator[str]:
    """The name of the field for cookies in all ways to write it with capitals."""
    return map("".join, itertools.product(*({c, c.upper()} for c in SET_COOKIE)))
