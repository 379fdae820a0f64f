"""Each shape of reply is what the sender of the event takes."""

import base64
import json
from typing import Any

import pytest
from awslambdaric.lambda_runtime_exception import FaultException

from serving.errors import PayloadTooLarge, PredictionError
from serving.hosts.aws_lambda import limits
from serving.hosts.aws_lambda.events import Shape
from serving.hosts.aws_lambda.replies import reply
from serving.hosts.messages import Whole
from serving.kinds import MIB

CSV = (("content-type", "text/csv"),)
JSON = (("content-type", "application/json"),)
FIELDS = (*CSV, ("x-tag", "a"), ("x-tag", "b"), ("set-cookie", "c=1"), ("set-cookie", "d=2"))
ANSWER = Whole(200, FIELDS, b"1.0\n")


def test_a_rest_api_takes_all_values_of_repeated_fields() -> None:
    assert reply(Shape.REST, ANSWER) == {
        "statusCode": 200,
        "headers": {"content-type": "text/csv"},
        "multiValueHeaders": {"x-tag": ["a", "b"], "set-cookie": ["c=1", "d=2"]},
        "body": "1.0\n",
        "isBase64Encoded": False,
    }


def test_where_no_field_is_repeated_each_has_one_value() -> None:
    assert reply(Shape.REST, Whole(200, CSV, b"1.0\n")) == {
        "statusCode": 200,
        "headers": {"content-type": "text/csv"},
        "body": "1.0\n",
        "isBase64Encoded": False,
    }


def test_an_http_api_takes_joined_fields_and_cookies_apart() -> None:
    assert reply(Shape.HTTP, ANSWER) == {
        "statusCode": 200,
        "headers": {"content-type": "text/csv", "x-tag": "a, b"},
        "cookies": ["c=1", "d=2"],
        "body": "1.0\n",
        "isBase64Encoded": False,
    }


def test_a_load_balancer_takes_a_status_line_and_cookies_under_names_spelled_differently() -> None:
    found = reply(Shape.ALB, ANSWER)
    cookies = {
        n: found["headers"].pop(n) for n in list(found["headers"]) if n.lower() == "set-cookie"
    }
    assert sorted(cookies.values()) == ["c=1", "d=2"]
    assert found == {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "headers": {"content-type": "text/csv", "x-tag": "a, b"},
        "body": "1.0\n",
        "isBase64Encoded": False,
    }


def test_a_load_balancer_that_sent_several_values_takes_them() -> None:
    assert reply(Shape.ALB_MULTI, ANSWER) == {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "multiValueHeaders": {
            "content-type": ["text/csv"],
            "x-tag": ["a", "b"],
            "set-cookie": ["c=1", "d=2"],
        },
        "body": "1.0\n",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("status", "line"), [(413, "413 Request Entity Too Large"), (299, "299 Unknown")]
)
def test_a_status_that_has_no_phrase_is_unknown(status: int, line: str) -> None:
    assert reply(Shape.ALB, Whole(status, (), b""))["statusDescription"] == line


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/csv; charset=utf-8", "é".encode(), "é"),
        ("application/json", b"{}", "{}"),
        ("application/jsonlines", b"{}\n", "{}\n"),
        ("Application/Vnd.Mine+JSON", b"{}", "{}"),
        ("text/plain; charset=latin-1", "é".encode("latin-1"), None),
        ("application/x-npy", b"\x93NUMPY", None),
        ("application/octet-stream", b"text", None),
        ("", b"text", None),
        ("image/png", b"", ""),
    ],
)
def test_text_goes_as_text_and_all_else_in_base64(
    content_type: str, body: bytes, text: str | None
) -> None:
    found = reply(Shape.REST, Whole(200, (("content-type", content_type),), body))
    assert found["isBase64Encoded"] is (text is None)
    assert found["body"] == (base64.b64encode(body).decode() if text is None else text)


@pytest.mark.parametrize(
    ("fields", "body", "returned"),
    [
        (JSON, b'{"predictions":[1.0]}', {"predictions": [1.0]}),
        ((("content-type", "application/json; charset=utf-8"),), b"[null]", [None]),
        (CSV, b"1.0\n", "1.0\n"),
        ((), b"", None),
    ],
)
def test_a_direct_invocation_returns_the_answer_itself(
    fields: Any, body: bytes, returned: Any
) -> None:
    assert reply(Shape.DIRECT, Whole(200, fields, body)) == returned


@pytest.mark.parametrize(
    ("fields", "body", "told"),
    [
        ((("content-type", "image/png"),), b"\x89PNG", "image/png, which the reply"),
        (JSON, b"[NaN]", "not the JSON that it says: it has NaN"),
        (JSON, b"{", "not the JSON that it says"),
    ],
)
def test_what_a_direct_invocation_cannot_return_is_an_error(
    fields: Any, body: bytes, told: str
) -> None:
    with pytest.raises(PredictionError, match=told):
        reply(Shape.DIRECT, Whole(200, fields, body))


@pytest.mark.parametrize(
    ("fields", "body", "kind", "message"),
    [
        (JSON, b'{"code":415,"type":"WrongType","message":"Send numbers."}', "WrongType",
         "415: Send numbers."),
        (JSON, b'{"error":"no"}', "UnsupportedMediaType", '415: {"error":"no"}'),
        (JSON, b'["no"]', "UnsupportedMediaType", '415: ["no"]'),
        (JSON, b"{", "UnsupportedMediaType", "415: {"),
        (CSV, b"no\n", "UnsupportedMediaType", "415: no"),
    ],
)  # fmt: skip
def test_an_error_of_a_direct_invocation_is_an_error_of_the_function(
    fields: Any, body: bytes, kind: str, message: str
) -> None:
    with pytest.raises(FaultException) as raised:
        reply(Shape.DIRECT, Whole(415, fields, body))
    assert (raised.value.exception_type, raised.value.msg) == (kind, message)
    assert raised.value.trace is None


class TestLimits:
    @pytest.mark.parametrize(("shape", "most"), [(Shape.REST, 6 * MIB), (Shape.ALB, MIB)])
    def test_a_reply_may_have_as_many_bytes_as_lambda_takes(self, shape: Shape, most: int) -> None:
        empty = reply(shape, Whole(200, CSV, b""))
        room = most - len(json.dumps(empty))
        assert len(json.dumps(reply(shape, Whole(200, CSV, b"1" * room)))) == most
        with pytest.raises(PayloadTooLarge, match=f"takes {most + 1} bytes .* fewer rows"):
            reply(shape, Whole(200, CSV, b"1" * (room + 1)))

    def test_what_counts_is_the_reply_as_json(self) -> None:
        with pytest.raises(PayloadTooLarge):
            reply(Shape.REST, Whole(200, CSV, b"\n" * (4 * MIB)))
        with pytest.raises(PayloadTooLarge):
            reply(Shape.HTTP, Whole(200, (), bytes(5 * MIB)))
        with pytest.raises(PayloadTooLarge):
            reply(Shape.DIRECT, Whole(200, JSON, b"[" + b"0," * (2 * MIB) + b"1]"))

    def test_a_small_body_is_not_measured(self) -> None:
        limits.check(object(), limits.PAYLOAD, 100)
