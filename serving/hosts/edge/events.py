"""CloudFront's request events into requests, and answers into the responses it takes.

The event's fields, the limits and the header fields that a function may not set are those of the
Amazon CloudFront Developer Guide ("Lambda@Edge event structure", "Restrictions on edge functions").
"""

import base64
import http
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from serving.errors import BadRequest, PayloadTooLarge, PredictionError
from serving.hosts import messages
from serving.values import Request

Event = Mapping[str, Any]

KIB = 1024
MOST_BYTES = {"viewer-request": 40 * KIB, "origin-request": KIB * KIB}
"""By the type of the event: what CloudFront hands over of a body, and the largest response, its
header fields included."""

SMALLEST = min(MOST_BYTES.values())
"""What any event allows."""

FORBIDDEN = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-accel-buffering",
        "x-accel-charset",
        "x-accel-limit-rate",
        "x-accel-redirect",
        "x-amzn-auth",
        "x-amzn-cf-billing",
        "x-amzn-cf-id",
        "x-amzn-cf-xff",
        "x-amzn-errortype",
        "x-amzn-fle-profile",
        "x-amzn-header-count",
        "x-amzn-header-order",
        "x-amzn-lambda-integration-tag",
        "x-amzn-requestid",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
"""Header fields that CloudFront refuses a response for, or writes itself."""

FORBIDDEN_BEGINNINGS = ("x-amz-cf-", "x-edge-")

UNCACHED = ("cache-control", "no-store")
"""CloudFront caches what an origin-request function answers to GET and HEAD: yesterday's /ping."""

BODILESS_METHODS = {"GET", "HEAD", "OPTIONS"}


class Asked(NamedTuple):
    """What an event says."""

    request: Request
    limit: int
    """Most bytes of the response, its header fields included."""


def read(event: Any, deadline: float) -> Asked:
    """The request in an event; ``deadline`` is its own.

    Raises:
        BadRequest: it is no event of a request.
        PayloadTooLarge: CloudFront cut the body off.
        PredictionError: CloudFront is not set up to hand over bodies.
    """
    try:
        cloudfront = event["Records"][0]["cf"]
        kind = cloudfront["config"]["eventType"]
        fields = cloudfront["request"]
        method, target = _text(fields["method"]), _text(fields["uri"])
        headers = messages.headers(
            (name, _text(each["value"]))
            for name, several in fields["headers"].items()
            for each in several
        )
        query = _text(fields.get("querystring", ""))
        given = fields.get("body")
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise BadRequest(
            "This is no event of CloudFront's: Records[0].cf with config.eventType and request is "
            f"expected ({type(error).__name__}: {error})."
        ) from error
    if kind not in MOST_BYTES:
        raise BadRequest(
            f"Events of type {kind!r} are not answered, only {' and '.join(sorted(MOST_BYTES))}."
        )
    body = _body(given, method, headers, MOST_BYTES[kind])
    request = Request(method, unquote(target), headers, body, query, deadline, target)
    return Asked(request, MOST_BYTES[kind])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _body(given: Any, method: str, headers: Mapping[str, str], limit: int) -> bytes:
    if given is None:
        if method in BODILESS_METHODS or headers.get("content-length") == "0":
            return b""
        raise PredictionError(
            "CloudFront does not hand over the body; the function's association has to include it "
            "(IncludeBody)."
        )
    try:
        if given.get("inputTruncated"):
            raise PayloadTooLarge(
                f"The body is larger than {limit} bytes, of which CloudFront hands over no more."
            )
        data = given.get("data", "")
        if given.get("encoding", "base64") == "text":
            encoded: bytes = data.encode()
            return encoded
        return base64.b64decode(data, validate=True)
    except (AttributeError, TypeError, ValueError) as error:
        raise BadRequest(f"The event's body cannot be read: {error}.") from error


def response(status: int, fields: messages.Fields, body: bytes, limit: int) -> dict[str, Any]:
    """A response as CloudFront takes it.

    Args:
        status: From 200 to 599.
        fields: All header fields; those that are forbidden are left out.
        body: Whole. What is no UTF-8 goes as base64.
        limit: Most bytes of the response.

    Raises:
        PayloadTooLarge: it is larger.
    """
    headers: dict[str, list[dict[str, str]]] = {}
    for name, value in _allowed(fields):
        headers.setdefault(name, []).append({"key": name, "value": value})
    made: dict[str, Any] = {"status": str(status), "headers": headers}
    made["statusDescription"] = _description(status)
    if body:
        made |= _encoded(body)
    size = len(made.get("body", "").encode())
    size += sum(len(each["key"]) + len(each["value"]) for all_ in headers.values() for each in all_)
    if size > limit:
        raise PayloadTooLarge(
            f"The answer takes {size} bytes with its header fields; CloudFront takes no more than "
            f"{limit} from a function. Ask for fewer rows at once."
        )
    return made


def _allowed(fields: messages.Fields) -> messages.Fields:
    allowed = tuple(
        (name, value)
        for name, value in fields
        if name not in FORBIDDEN and not name.startswith(FORBIDDEN_BEGINNINGS)
    )
    cached = any(name == "cache-control" for name, _ in allowed)
    return allowed if cached else (*allowed, UNCACHED)


def _encoded(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode(), "bodyEncoding": "text"}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "bodyEncoding": "base64"}


def _description(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Other"
