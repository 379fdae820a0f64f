"""Events as the triggers of a Lambda function make them of a request, and their replies read."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from serving.values import Request
from tests.support import Answer

Event = dict[str, Any]
Shape = Callable[[Request], Event]


class Context:
    """What the runtime client tells of an invocation."""

    aws_request_id = "8c5d"

    def __init__(self, milliseconds: int = 60_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


def rest_api(request: Request) -> Event:
    """API Gateway's format 1.0."""
    pairs = parse_qsl(request.query, keep_blank_values=True)
    return {
        "resource": "/{proxy+}",
        "path": quote(request.path),
        "httpMethod": request.method,
        "headers": dict(request.headers) or None,
        "multiValueHeaders": {n: [value] for n, value in request.headers.items()} or None,
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": {n: [value] for n, value in pairs} or None,
        "pathParameters": {"proxy": request.path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": request.method,
            "path": f"/prod{quote(request.path)}",
            "stage": "prod",
            "requestId": "c6af9ac6",
        },
        **_body(request),
    }


def http_api(request: Request) -> Event:
    """API Gateway's format 2.0, with a stage of a name."""
    return _second_format(request, "prod", f"/prod{quote(request.path)}") | _body(request)


def function_url(request: Request) -> Event:
    """A function URL, which sends what it does not know as text in base64."""
    return _second_format(request, "$default", quote(request.path)) | _encoded(request)


def alb(request: Request) -> Event:
    """A load balancer."""
    return _balancer(request) | {"headers": dict(request.headers)}


def alb_multi(request: Request) -> Event:
    """A load balancer with multi-value headers."""
    return _balancer(request) | {
        "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
    }


def envelope(request: Request) -> Event:
    """A direct invocation that asks for more than a plain prediction."""
    event = {"httpMethod": request.method, "path": request.path, "headers": dict(request.headers)}
    return event | _encoded(request)


SHAPES: Mapping[str, Shape] = {
    "REST API": rest_api,
    "HTTP API": http_api,
    "function URL": function_url,
    "ALB": alb,
    "ALB with several values": alb_multi,
    "direct": envelope,
}


def answer(reply: Mapping[str, Any]) -> Answer:
    """The answer that a trigger makes of a function's reply."""
    headers = dict(reply.get("headers", {}))
    for name, values in reply.get("multiValueHeaders", {}).items():
        (headers[name],) = values
    text = reply["body"]
    body = base64.b64decode(text) if reply["isBase64Encoded"] else text.encode()
    return Answer(reply["statusCode"], headers, body)


def _second_format(request: Request, stage: str, path: str) -> Event:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": dict(request.headers),
        "requestContext": {
            "http": {"method": request.method, "path": path, "sourceIp": "192.0.2.1"},
            "requestId": "c6af9ac6",
            "stage": stage,
        },
    }


def _balancer(request: Request) -> Event:
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:r:1:t/g/6d"}},
        "httpMethod": request.method,
        "path": quote(request.path),
        "queryStringParameters": dict(
            pair.split("=", 1) for pair in request.query.split("&") if pair
        ),
        **_body(request),
    }


def _body(request: Request) -> Event:
    try:
        return {"body": request.body.decode() or None, "isBase64Encoded": False}
    except UnicodeDecodeError:
        return _encoded(request)


def _encoded(request: Request) -> Event:
    return {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}


def sent(value: Any) -> Any:
    """A value on its way through JSON."""
    return json.loads(json.dumps(value))
