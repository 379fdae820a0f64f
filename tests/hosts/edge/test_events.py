"""Events into requests, and answers into the responses that CloudFront takes."""

import base64
from typing import Any

import pytest

from serving.errors import BadRequest, PayloadTooLarge, PredictionError
from serving.hosts.edge import events
from serving.values import Request
from tests.edge_events import event
from tests.support import get, post

LIMIT = 1024 * 1024
TYPED = (("content-type", "text/csv"),)


def test_a_request_is_read_whole() -> None:
    sent = Request(
        "POST", "/invocations/ü b", {"content-type": "text/csv", "accept": "a/b"}, b"\xff1", "q=1&r"
    )
    asked = events.read(event(sent), 5.0)
    headers = {"host": "d123.cloudfront.net", **sent.headers}
    target = "/invocations/%C3%BC%20b"
    assert asked.request == sent._replace(headers=headers, deadline=5.0, target=target)


def test_the_type_of_the_event_sets_the_limit() -> None:
    assert events.read(event(post(b"1")), 0).limit == LIMIT
    assert events.read(event(post(b"1"), "viewer-request"), 0).limit == 40 * 1024


def test_a_body_may_be_text() -> None:
    asked = events.read(event(post(), data="1,ü", encoding="text"), 0)
    assert asked.request.body == "1,ü".encode()


def test_repeated_fields_are_joined() -> None:
    made = event(post(b"1"))
    made["Records"][0]["cf"]["request"]["headers"]["accept"] = [
        {"key": "Accept", "value": "text/csv"},
        {"key": "accept", "value": "a/b"},
    ]
    assert events.read(made, 0).request.headers["accept"] == "text/csv, a/b"


@pytest.mark.parametrize("kind", ["origin-request", "viewer-request"])
def test_a_body_that_cloudfront_cut_off_is_refused(kind: str) -> None:
    with pytest.raises(PayloadTooLarge, match=str(events.MOST_BYTES[kind])):
        events.read(event(post(b"1"), kind, inputTruncated=True), 0)


def test_a_body_that_is_not_handed_over_is_the_operators_mistake() -> None:
    made = event(post(b"1"))
    del made["Records"][0]["cf"]["request"]["body"]
    with pytest.raises(PredictionError, match="IncludeBody"):
        events.read(made, 0)


@pytest.mark.parametrize(
    ("request_", "length"), [(get("/ping"), None), (post(), "0")], ids=["ping", "empty"]
)
def test_no_body_is_handed_over_where_there_is_none(request_: Request, length: str | None) -> None:
    made = event(request_)
    fields = made["Records"][0]["cf"]["request"]
    del fields["body"]
    if length is not None:
        fields["headers"]["content-length"] = [{"key": "Content-Length", "value": length}]
    assert events.read(made, 0).request.body == b""


@pytest.mark.parametrize("kind", ["origin-response", "viewer-response", "", None])
def test_other_events_are_refused(kind: Any) -> None:
    with pytest.raises(BadRequest, match="origin-request and viewer-request"):
        events.read(event(get("/ping"), kind), 0)


@pytest.mark.parametrize(
    "wrong",
    [{"data": "a"}, {"data": "ü"}, {"data": None}, {"data": 1, "encoding": "text"}],
    ids=str,
)
def test_a_body_that_cannot_be_decoded_is_refused(wrong: Any) -> None:
    with pytest.raises(BadRequest, match="body cannot be read"):
        events.read(event(post(), **wrong), 0)


@pytest.mark.parametrize("place", ["headers", "method", "uri"])
@pytest.mark.parametrize("value", [None, 1, "absent"])
def test_a_field_that_is_wrong_or_absent_is_refused(place: str, value: Any) -> None:
    made = event(get("/ping"))
    fields = made["Records"][0]["cf"]["request"]
    fields[place] = value
    if value == "absent":
        del fields[place]
    with pytest.raises(BadRequest, match="no event of CloudFront's"):
        events.read(made, 0)


def test_text_goes_as_text() -> None:
    assert events.response(200, TYPED, "ü\n".encode(), LIMIT) == {
        "status": "200",
        "statusDescription": "OK",
        "headers": {
            "content-type": [{"key": "content-type", "value": "text/csv"}],
            "cache-control": [{"key": "cache-control", "value": "no-store"}],
        },
        "body": "ü\n",
        "bodyEncoding": "text",
    }


def test_what_is_no_text_goes_as_base64() -> None:
    made = events.response(200, (), b"\x93NUMPY", LIMIT)
    assert made["bodyEncoding"] == "base64"
    assert base64.b64decode(made["body"]) == b"\x93NUMPY"


def test_an_empty_body_is_left_out() -> None:
    made = events.response(204, (), b"", LIMIT)
    assert made.keys() == {"status", "statusDescription", "headers"}


def test_what_a_script_says_of_caching_stays() -> None:
    made = events.response(200, (("cache-control", "max-age=60"),), b"", LIMIT)
    assert made["headers"]["cache-control"] == [{"key": "cache-control", "value": "max-age=60"}]


def test_a_repeated_field_keeps_all_its_values() -> None:
    made = events.response(200, (("set-cookie", "a=1"), ("set-cookie", "b=2")), b"", LIMIT)
    assert [each["value"] for each in made["headers"]["set-cookie"]] == ["a=1", "b=2"]


@pytest.mark.parametrize("name", [*sorted(events.FORBIDDEN), "x-amz-cf-id", "x-edge-location"])
def test_a_forbidden_field_is_left_out(name: str) -> None:
    assert events.response(200, ((name, "x"),), b"", LIMIT)["headers"].keys() == {"cache-control"}


def test_sagemakers_fields_are_not_forbidden() -> None:
    name = "x-amzn-sagemaker-custom-attributes"
    assert name in events.response(200, ((name, "x"),), b"", LIMIT)["headers"]


def test_a_response_may_take_the_limit_with_its_fields_and_no_byte_more() -> None:
    fields = sum(map(len, (*TYPED[0], *events.UNCACHED)))
    whole = b"a" * (LIMIT - fields)
    assert len(events.response(200, TYPED, whole, LIMIT)["body"]) == len(whole)
    with pytest.raises(PayloadTooLarge, match=f"takes {LIMIT + 1} bytes"):
        events.response(200, TYPED, whole + b"a", LIMIT)


def test_base64_counts_as_it_is_sent() -> None:
    with pytest.raises(PayloadTooLarge):
        events.response(200, (), b"\xff" * (LIMIT * 3 // 4), LIMIT)


def test_a_status_without_a_name_has_a_description() -> None:
    assert events.response(599, (), b"", LIMIT)["statusDescription"]
