"""Events into requests: API Gateway's two formats, function URLs, load balancers, plain JSON.

The formats are those of the Lambda developer guide, "Working with Lambda proxy integrations", and
of the load balancers' guide, "Lambda functions as targets". A direct invocation may send any JSON,
which is the body of an invocation, or an event in API Gateway's first format, of which only
``httpMethod`` has to be there.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any
from urllib.parse import quote, unquote, urlencode

from serving.errors import BadRequest
from serving.hosts import messages
from serving.single import INVOCATIONS
from serving.values import Request

JSON = "application/json"

Event = Mapping[str, Any]


class Shape(Enum):
    """What an event looks like, and so what its reply has to."""

    REST = auto()
    """API Gateway's format 1.0: REST APIs, and HTTP APIs that ask for it."""
    HTTP = auto()
    """API Gateway's format 2.0: HTTP APIs and function URLs."""
    ALB = auto()
    """A load balancer, one value a header field."""
    ALB_MULTI = auto()
    """A load balancer whose target group has multi-value headers."""
    DIRECT = auto()
    """Whatever else was sent as an event: the body of an invocation."""


def shape(event: Any) -> Shape:
    """Who sent an event."""
    if not isinstance(event, Mapping):
        return Shape.DIRECT
    context = event.get("requestContext")
    if isinstance(context, Mapping) and "elb" in context:
        return Shape.ALB_MULTI if "multiValueHeaders" in event else Shape.ALB
    if isinstance(context, Mapping) and "http" in context:
        return Shape.HTTP
    return Shape.REST if "httpMethod" in event else Shape.DIRECT


def request(event: Any, shape: Shape, base_path: str = "") -> Request:
    """The request that an event stands for, without a deadline.

    Args:
        event: The event, of whatever JSON there is.
        shape: Its shape.
        base_path: The path under which a gateway reaches this function; it is taken off.

    Raises:
        BadRequest: the event is not as its shape says; names what is wrong.
    """
    if shape is Shape.DIRECT:
        fields = {"content-type": JSON, "accept": JSON}
        return Request("POST", INVOCATIONS, fields, json.dumps(event).encode(), target=INVOCATIONS)
    made = _http(event) if shape is Shape.HTTP else _rest(event, decoded=shape is Shape.REST)
    return made._replace(path=_below(made.path, base_path))


def _http(event: Event) -> Request:
    context = _object(event, "requestContext")
    sent = _text(event, "rawPath") or "/"
    headers = messages.headers(_single(event))
    cookies = _texts(event, "cookies")
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    return Request(
        _text(_object(context, "http"), "method").upper(),
        _below(unquote(sent), _stage(context)),
        headers,
        _body(event),
        _text(event, "rawQueryString"),
        target=sent,
    )


def _rest(event: Event, *, decoded: bool) -> Request:
    context = _object(event, "requestContext")
    sent = _text(event, "path") or INVOCATIONS
    path = unquote(_without_mapping(event, sent))
    if "version" in event:  # the first format of an HTTP API
        path = _below(path, _stage(context))
    pairs = list(_pairs(event, "multiValueQueryStringParameters", "queryStringParameters"))
    query = (
        urlencode(pairs, quote_via=quote)
        if decoded  # a load balancer leaves them as they came
        else "&".join(f"{name}={value}" for name, value in pairs)
    )
    return Request(
        _text(event, "httpMethod").upper(),
        path,
        messages.headers(_pairs(event, "multiValueHeaders", "headers")),
        _body(event),
        query,
        target=_text(context, "path") or sent,
    )


def _without_mapping(event: Event, path: str) -> str:
    """The path without that to which a domain name maps the API: what the resource stands for."""
    resource = _text(event, "resource")
    for name, value in _object(event, "pathParameters").items():
        resource = resource.replace(f"{{{name}+}}", str(value)).replace(f"{{{name}}}", str(value))
    return resource if resource and path.endswith(resource) else path


def _stage(context: Event) -> str:
    """The first part of each path, where the stage is not the default."""
    name = _text(context, "stage")
    return "" if name == "$default" else name


def _below(path: str, base: str) -> str:
    """The path under a base, if it is under it."""
    base = f"/{base.strip('/')}"
    if base != "/" and (path == base or path.startswith(f"{base}/")):
        return path[len(base) :] or "/"
    return path


def _body(event: Event) -> bytes:
    text = _text(event, "body")
    try:
        if event.get("isBase64Encoded"):
            return base64.b64decode(text, validate=True)
        return text.encode()
    except ValueError as error:
        raise BadRequest(f"The event's body cannot be read: {error}.") from error


def _pairs(event: Event, several: str, single: str) -> Iterator[tuple[str, str]]:
    """Fields, of which the gateways send all values, the last of each, or both."""
    if not event.get(several):
        yield from _single(event, single)
        return
    for name in _object(event, several):
        for value in _texts(_object(event, several), name):
            yield name, value


def _single(event: Event, name: str = "headers") -> Iterator[tuple[str, str]]:
    fields = _object(event, name)
    for field in fields:
        yield field, _text(fields, field)


def _object(event: Event, name: str) -> Event:
    found: Event = _typed(event, name, Mapping, {}, "an object")
    return found


def _text(event: Event, name: str) -> str:
    return str(_typed(event, name, str, "", "a string"))


def _texts(event: Event, name: str) -> list[str]:
    values = _typed(event, name, list, [], "a list of strings")
    if not all(isinstance(value, str) for value in values):
        raise BadRequest(f"In the event, {name!r} has to be a list of strings.")
    return list(values)


def _typed(event: Event, name: str, kind: type, default: Any, called: str) -> Any:
    value = event.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise BadRequest(
            f"In the event, {name!r} has to be {called}; it is {type(value).__name__}."
        )
    return value
