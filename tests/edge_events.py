"""CloudFront's events as the documentation shows them, and its reading of what a function made."""

import base64
from typing import Any
from urllib.parse import quote

from serving.values import Request
from tests.support import Answer

Json = dict[str, Any]


def event(request: Request, kind: str = "origin-request", **body: Any) -> Json:
    """An event for a request; ``body`` replaces fields of its body."""
    headers = {
        name: [{"key": name.title(), "value": value}] for name, value in request.headers.items()
    }
    given = {
        "inputTruncated": False,
        "action": "read-only",
        "encoding": "base64",
        "data": base64.b64encode(request.body).decode(),
        **body,
    }
    asked = {
        "clientIp": "203.0.113.178",
        "headers": {"host": [{"key": "Host", "value": "d123.cloudfront.net"}], **headers},
        "method": request.method,
        "querystring": request.query,
        "uri": quote(request.path),
        "body": given,
    }
    config = {
        "distributionDomainName": "d123.cloudfront.net",
        "distributionId": "EDFDVBD6EXAMPLE",
        "eventType": kind,
        "requestId": "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
    }
    return {"Records": [{"cf": {"config": config, "request": asked}}]}


def answer(made: Json) -> Answer:
    """What CloudFront's client sees of a response that a function made."""
    assert made.keys() <= {"status", "statusDescription", "headers", "body", "bodyEncoding"}
    assert made["statusDescription"]
    headers = {}
    for name, values in made["headers"].items():
        assert [each["key"].lower() for each in values] == [name] * len(values)
        headers[name] = ", ".join(each["value"] for each in values)
    body = made.get("body", "")
    binary = made.get("bodyEncoding") == "base64"
    return Answer(int(made["status"]), headers, base64.b64decode(body) if binary else body.encode())
