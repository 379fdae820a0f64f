"""Signatures: what AWS's library signs is verified, and nothing else is."""

import time
from email.utils import formatdate
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as some

from serving.auth import sigv4
from serving.errors import IncompleteSignature, InvalidSignature
from serving.values import Request
from tests.auth.support import ENDPOINT, REGION, SECRET, signed, signing_time, with_headers

# The example that AWS's documentation of the signature works through.
EXAMPLE = Request(
    "GET",
    "/",
    {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": "iam.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
    },
    b"",
    "Action=ListUsers&Version=2010-05-08",
)
EXAMPLE_DIGEST = "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
EXAMPLE_KEY = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"

UNRESERVED = "abcXYZ019-._~"


def read(request: Request, now: float | None = None, region: str = "") -> sigv4.Signature:
    """The signature of a request that came when it was signed, or at another time."""
    scheme, _, parameters = request.headers["authorization"].partition(" ")
    assert scheme == sigv4.ALGORITHM
    now = signing_time(request) if now is None else now
    return sigv4.read(parameters, request.headers, now, region)


def verify(request: Request, secret: str = SECRET) -> None:
    sigv4.verify(read(request), request, secret)


def test_the_example_of_the_documentation_comes_out() -> None:
    fields = ("content-type", "host", "x-amz-date")
    canonical = sigv4.canonical_request(EXAMPLE, fields, sha256(b"").hexdigest())
    assert sha256(canonical.encode()).hexdigest() == EXAMPLE_DIGEST
    text = sigv4.string_to_sign(
        "20150830T123600Z", "20150830/us-east-1/iam/aws4_request", canonical
    )
    assert text.splitlines()[-1] == EXAMPLE_DIGEST
    assert sigv4.signing_key(SECRET, "20150830", "us-east-1", "iam").hex() == EXAMPLE_KEY


@pytest.mark.parametrize(
    "target",
    [
        "/invocations",
        ENDPOINT,
        "/models",
        "/models?limit=5",
        "/models?next_page_token=a%2Fb%20c&limit=5",
        "/models?b=2&b=1&a",
        "/models/a%20b/invoke",
        "/models/caf%C3%A9%25/invoke",
        "/models/v1.tar.gz~/invoke",
    ],
)
@pytest.mark.parametrize("body", [b"", b"1,2,3", bytes(range(256))])
def test_what_botocore_signs_is_verified(target: str, body: bytes) -> None:
    verify(signed("POST", target, body))


@given(
    segment=some.text(some.characters(exclude_characters="/", exclude_categories=["C"])),
    query=some.dictionaries(some.text(UNRESERVED, min_size=1), some.text(UNRESERVED)),
    value=some.text(some.characters(min_codepoint=0x20, max_codepoint=0x7E)),
    body=some.binary(max_size=64),
)
def test_whatever_is_signed_is_verified(
    segment: str, query: dict[str, str], value: str, body: bytes
) -> None:
    target = f"/models/m{quote(segment, safe='')}/invoke"
    if query:
        target += "?" + "&".join(f"{name}={text}" for name, text in query.items())
    request = signed("POST", target, body, headers={"X-Amzn-SageMaker-Custom-Attributes": value})
    verify(with_headers(request, x_amzn_sagemaker_custom_attributes=value.strip()))


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"path": "/endpoints/others/invocations"},
        {"query": "a=1"},
        {"body": b"1,2,4"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_request_that_was_changed_is_refused(changed: dict[str, Any]) -> None:
    request = signed()._replace(**changed)
    with pytest.raises(InvalidSignature, match="is not that of this request with the secret"):
        verify(request)


@pytest.mark.parametrize("name", ["host", "content_type"])
def test_a_signed_field_that_was_changed_is_refused(name: str) -> None:
    with pytest.raises(InvalidSignature, match="is not that of this request"):
        verify(with_headers(signed(), **{name: "other"}))


def test_a_field_that_is_not_signed_may_change() -> None:
    verify(with_headers(signed(), user_agent="other", accept="*/*", x_amzn_trace_id="Root=1"))


def test_a_signature_of_another_secret_is_refused() -> None:
    with pytest.raises(InvalidSignature, match="with the secret of 'ORDERS2026'"):
        verify(signed(), "the secret of somebody else")


def test_a_signature_that_is_no_text_of_a_signature_is_refused() -> None:
    request = signed()
    authorization = request.headers["authorization"]
    for value in ("", "é", authorization[-64:].upper()):
        changed = with_headers(request, authorization=authorization[:-64] + value)
        with pytest.raises(InvalidSignature):
            verify(changed)


def test_runs_of_blanks_in_a_field_count_as_one() -> None:
    request = signed(headers={"X-Amzn-SageMaker-Custom-Attributes": "a \t b\tc"})
    assert request.headers["x-amzn-sagemaker-custom-attributes"] == "a \t b\tc"
    verify(request)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_signature_is_good_for_five_minutes_around_its_time(seconds: int) -> None:
    request = signed()
    signature = read(request, signing_time(request) + seconds)
    assert signature.timestamp == request.headers["x-amz-date"]


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_a_signature_of_another_time_is_refused(seconds: int) -> None:
    request = signed()
    with pytest.raises(InvalidSignature, match=r"good for 5 minutes\. Check the clocks"):
        read(request, signing_time(request) + seconds)


def test_a_request_may_say_its_time_as_date() -> None:
    request = signed(headers={"Date": formatdate(0)})
    assert "x-amz-date" not in request.headers
    signature = read(request, time.time())
    assert "date" in signature.signed_headers
    sigv4.verify(signature, request, SECRET)


@pytest.mark.parametrize(
    "text", [None, "", "yesterday", "20151330T123600Z", "2015-08-30T12:36:00Z"]
)
def test_a_request_without_a_readable_time_is_refused(text: str | None) -> None:
    request = signed()
    changed = with_headers(request, x_amz_date=text)
    with pytest.raises(IncompleteSignature, match="has to say when it was signed"):
        read(changed, signing_time(request))


def test_the_day_of_the_credential_is_that_of_the_time() -> None:
    request = signed()
    day = request.headers["x-amz-date"][:8]
    authorization = request.headers["authorization"].replace(f"/{day}/", "/20150830/")
    with pytest.raises(InvalidSignature, match="names the day '20150830', and x-amz-date is"):
        read(with_headers(request, authorization=authorization))


def test_a_signature_may_have_to_be_for_one_region() -> None:
    assert read(signed(), region=REGION).region == REGION
    assert read(signed(region="us-east-1")).region == "us-east-1"
    with pytest.raises(InvalidSignature, match="is for us-east-1/sagemaker/aws4_request"):
        read(signed(region="us-east-1"), region=REGION)


def test_a_signature_for_another_service_is_refused() -> None:
    with pytest.raises(InvalidSignature, match="has to be for any region/sagemaker/aws4_request"):
        read(signed(service="s3"))


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-security-token"])
def test_what_has_to_be_signed_is_asked_for(name: str) -> None:
    request = signed(key=("OPERATOR", SECRET, "session/token"))
    authorization = request.headers["authorization"]
    without = authorization.replace(f";{name}", "").replace(f"{name};", "")
    with pytest.raises(IncompleteSignature, match=f"SignedHeaders leaves out {name};"):
        read(with_headers(request, authorization=without))


def test_a_signed_field_that_is_missing_is_named() -> None:
    with pytest.raises(InvalidSignature, match="names 'content-type', which the request does not"):
        verify(with_headers(signed(), content_type=None))


@pytest.mark.parametrize(
    "parameters",
    ["", "Credential=a/b/c/d/e", "Credential=a/b/c/d/e, SignedHeaders=host, Signed=0", "nonsense,"],
)
def test_an_authorization_without_its_parts_is_refused(parameters: str) -> None:
    with pytest.raises(IncompleteSignature, match=r"has to have Credential=…, SignedHeaders=…"):
        sigv4.read(parameters, {}, 0.0)


def test_a_credential_without_its_parts_is_refused() -> None:
    with pytest.raises(IncompleteSignature, match="Credential has to be the key's id, day"):
        sigv4.read("Credential=ORDERS2026, SignedHeaders=host, Signature=0", {}, 0.0)


def test_a_digest_of_the_body_may_be_sent_and_has_to_be_right() -> None:
    body = b"1,2,3"
    verify(signed(body=body, headers={"X-Amz-Content-SHA256": sha256(body).hexdigest()}))
    with pytest.raises(InvalidSignature, match="is not the SHA-256 of the body that came"):
        verify(signed(body=body, headers={"X-Amz-Content-SHA256": sha256(b"other").hexdigest()}))


@pytest.mark.parametrize(
    "content",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ],
)
def test_a_body_that_is_not_signed_as_a_whole_is_refused(content: str) -> None:
    with pytest.raises(IncompleteSignature, match="takes only signatures of the whole body"):
        read(signed(headers={"X-Amz-Content-SHA256": content}))
