"""Each shape of event becomes the request that its sender meant."""

from typing import Any

import pytest

from serving.errors import BadRequest
from serving.hosts.aws_lambda import events
from serving.hosts.aws_lambda.events import Shape
from serving.values import Request

REST: dict[str, Any] = {
    "resource": "/{proxy+}",
    "path": "/invocations",
    "httpMethod": "POST",
    "headers": {"Content-Type": "text/csv", "X-Tag": "b"},
    "multiValueHeaders": {"Content-Type": ["text/csv"], "X-Tag": ["a", "b"]},
    "queryStringParameters": {"q": "2", "name": "a b"},
    "multiValueQueryStringParameters": {"q": ["1", "2"], "name": ["a b"]},
    "pathParameters": {"proxy": "invocations"},
    "stageVariables": None,
    "requestContext": {"path": "/prod/invocations", "stage": "prod", "resourcePath": "/{proxy+}"},
    "body": "0,5\n",
    "isBase64Encoded": False,
}

HTTP: dict[str, Any] = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/invocations",
    "rawQueryString": "q=1&q=2&name=a%20b",
    "cookies": ["a=1", "b=2"],
    "headers": {"content-type": "text/csv", "x-tag": "a,b"},
    "requestContext": {
        "http": {"method": "POST", "path": "/invocations", "protocol": "HTTP/1.1"},
        "stage": "$default",
        "requestId": "c6af9ac6",
    },
    "body": "MCw1Cg==",
    "isBase64Encoded": True,
}

ALB: dict[str, Any] = {
    "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:r:1:t/g/6d"}},
    "httpMethod": "POST",
    "path": "/invocations",
    "queryStringParameters": {"name": "a%20b", "q": "2"},
    "headers": {"content-type": "text/csv", "host": "lambda.example"},
    "body": "0,5\n",
    "isBase64Encoded": False,
}


def read(event: Any, base_path: str = "") -> Request:
    return events.request(event, events.shape(event), base_path)


@pytest.mark.parametrize(
    ("event", "shape"),
    [
        (REST, Shape.REST),
        (HTTP, Shape.HTTP),
        (ALB, Shape.ALB),
        ({**ALB, "multiValueHeaders": {}}, Shape.ALB_MULTI),
        ({"httpMethod": "GET"}, Shape.REST),
        ({"instances": [[1, 2]]}, Shape.DIRECT),
        ({"requestContext": "mine", "x": 1}, Shape.DIRECT),
        ({"version": "2.0", "rows": []}, Shape.DIRECT),
        ([[1, 2]], Shape.DIRECT),
        ("text", Shape.DIRECT),
        (None, Shape.DIRECT),
    ],
)
def test_an_event_tells_who_sent_it(event: Any, shape: Shape) -> None:
    assert events.shape(event) is shape


def test_a_rest_api_sends_all_values_of_fields_and_a_decoded_query() -> None:
    assert read(REST) == Request(
        "POST",
        "/invocations",
        {"content-type": "text/csv", "x-tag": "a, b"},
        b"0,5\n",
        "q=1&q=2&name=a%20b",
        target="/prod/invocations",
    )


def test_an_http_api_sends_the_query_as_it_came_and_cookies_apart() -> None:
    assert read(HTTP) == Request(
        "POST",
        "/invocations",
        {"content-type": "text/csv", "x-tag": "a,b", "cookie": "a=1; b=2"},
        b"0,5\n",
        "q=1&q=2&name=a%20b",
        target="/invocations",
    )


def test_a_load_balancer_sends_the_parameters_as_they_came() -> None:
    assert read(ALB) == Request(
        "POST",
        "/invocations",
        {"content-type": "text/csv", "host": "lambda.example"},
        b"0,5\n",
        "name=a%20b&q=2",
        target="/invocations",
    )


def test_a_load_balancer_may_send_several_values() -> None:
    event = {
        **ALB,
        "headers": None,
        "multiValueHeaders": {"x-tag": ["a", "b"]},
        "multiValueQueryStringParameters": {"q": ["1", "2"]},
    }
    request = read(event)
    assert (request.headers, request.query) == ({"x-tag": "a, b"}, "q=1&q=2")


def test_any_other_json_is_the_body_of_an_invocation() -> None:
    assert read({"instances": [[1, 2.5, None, "é"]]}) == Request(
        "POST",
        "/invocations",
        {"content-type": "application/json", "accept": "application/json"},
        b'{"instances": [[1, 2.5, null, "\\u00e9"]]}',
        target="/invocations",
    )


def test_of_an_event_by_hand_only_the_method_has_to_be_there() -> None:
    assert read({"httpMethod": "post"}) == Request(
        "POST", "/invocations", {}, b"", target="/invocations"
    )


def test_binary_bodies_come_in_base64() -> None:
    assert (
        read({"httpMethod": "POST", "body": "AP+A", "isBase64Encoded": True}).body == b"\0\xff\x80"
    )


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (REST | {"path": "/models/a%20b/invoke", "pathParameters": None}, "/models/a b/invoke"),
        (REST | {"path": "/base/invocations"}, "/invocations"),
        (REST | {"path": "/invocations", "resource": "/invocations"}, "/invocations"),
        (REST | {"version": "1.0", "path": "/prod/ping", "pathParameters": None}, "/ping"),
        (
            HTTP | {"rawPath": "/prod/ping", "requestContext": {"http": {}, "stage": "prod"}},
            "/ping",
        ),
        (HTTP | {"rawPath": "/prod", "requestContext": {"http": {}, "stage": "prod"}}, "/"),
        (
            HTTP | {"rawPath": "/product", "requestContext": {"http": {}, "stage": "prod"}},
            "/product",
        ),
        (ALB | {"path": "/a%2Fb"}, "/a/b"),
    ],
)
def test_the_path_is_decoded_and_without_what_the_gateway_put_before_it(
    event: Any, path: str
) -> None:
    assert read(event).path == path


@pytest.mark.parametrize("base", ["/scores", "scores/", "/scores/"])
@pytest.mark.parametrize("event", [REST, HTTP, ALB], ids=["REST", "HTTP", "ALB"])
def test_a_base_path_is_taken_off(event: dict[str, Any], base: str) -> None:
    moved = event | {"path": "/scores/ping", "rawPath": "/scores/ping", "resource": ""}
    assert read(moved, base).path == "/ping"
    assert read(event, base).path == "/invocations"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (REST | {"body": {"a": 1}}, "'body' has to be a string; it is dict"),
        (REST | {"body": "?", "isBase64Encoded": True}, "body cannot be read"),
        (REST | {"body": "\ud800"}, "body cannot be read"),
        (REST | {"multiValueHeaders": {"a": "b"}}, "'a' has to be a list of strings"),
        (REST | {"multiValueHeaders": {"a": [1]}}, "'a' has to be a list of strings"),
        (REST | {"httpMethod": 7}, "'httpMethod' has to be a string; it is int"),
        (HTTP | {"headers": ["a"]}, "'headers' has to be an object; it is list"),
        (HTTP | {"cookies": "a"}, "'cookies' has to be a list of strings; it is str"),
        (HTTP | {"requestContext": {"http": 1}}, "'http' has to be an object; it is int"),
        (ALB | {"headers": {"a": 1}}, "'a' has to be a string; it is int"),
    ],
)
def test_a_malformed_event_is_a_bad_request_that_says_where(event: Any, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        read(event)
