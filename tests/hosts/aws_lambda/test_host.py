"""The handler: time limits, sizes, streams, and what becomes of a model that is stuck."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from awslambdaric.lambda_runtime_exception import FaultException

from serving.entry import State
from serving.hosts.aws_lambda.host import Host
from serving.kinds import MIB
from tests.conftest import MakeSettings
from tests.hosts.aws_lambda.shapes import Context
from tests.support import PATIENCE

SCRIPT = """
import json, threading

held = threading.Event()

def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept, context=None):
    if body == b"hold":
        held.wait()
    if body == b"large":
        return "1" * 7_000_000, "text/plain"
    if body == b"named":
        return context.get_request_id(), "text/plain"
    if body.startswith(b"stream"):
        return chunks(body)
    return body, "text/plain"

def chunks(body):
    yield "one "
    if b"fails" in body:
        raise ValueError("in the middle")
    if b"holds" in body:
        held.wait()
    yield "two"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(SCRIPT)
    return tmp_path


@pytest.fixture
def make_host(folder: Path, make_settings: MakeSettings) -> Iterator[Any]:
    hosts: list[Host] = []

    def make(**settings: Any) -> Host:
        hosts.append(Host(make_settings(**settings), folder))
        assert hosts[-1].settled() == (State.READY, "")
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


def event(body: str, **more: Any) -> dict[str, Any]:
    return {"httpMethod": "POST", "body": body, "headers": {"content-type": "text/plain"}, **more}


def test_an_answer_that_would_be_too_large_is_413(make_host: Any) -> None:
    reply = make_host()(event("large"), Context())
    assert reply["statusCode"] == 413
    assert "6291456 is the most. Ask for fewer rows" in reply["body"]


def test_a_body_that_lambda_would_not_have_sent_is_413(make_host: Any) -> None:
    reply = make_host()(event("1" * (6 * MIB + 1)), Context())
    assert reply["statusCode"] == 413
    assert "Send fewer rows" in reply["body"]


def test_a_body_above_the_setting_is_413(make_host: Any) -> None:
    reply = make_host(max_body=3)(event("1234"), Context())
    assert reply["statusCode"] == 413
    assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" in reply["body"]


def test_a_malformed_event_is_400_in_the_shape_of_its_sender(make_host: Any) -> None:
    reply = make_host()({"httpMethod": "POST", "body": 7}, Context())
    assert (reply["statusCode"], reply["isBase64Encoded"]) == (400, False)
    assert "'body' has to be a string" in reply["body"]


@pytest.mark.parametrize("body", ["hold", "stream holds"])
def test_the_answer_is_504_before_lambda_ends_the_invocation(make_host: Any, body: str) -> None:
    reply = make_host()(event(body), Context(1000))
    assert reply["statusCode"] == 504
    assert "ran out of time" in reply["body"]


def test_an_invocation_without_time_is_504(make_host: Any) -> None:
    assert make_host()(event("x"), Context(0))["statusCode"] == 504


def test_the_limit_for_requests_counts_where_it_is_shorter(make_host: Any) -> None:
    assert make_host(request_timeout=0.2)(event("hold"), Context())["statusCode"] == 504


def test_a_stream_is_collected(make_host: Any) -> None:
    assert make_host()(event("stream"), Context())["body"] == "one two"


def test_a_stream_that_breaks_off_is_an_error_and_not_half_an_answer(make_host: Any) -> None:
    reply = make_host()(event("stream fails"), Context())
    assert reply["statusCode"] == 500
    assert "ValueError" in reply["body"]


def test_an_error_of_a_direct_invocation_is_raised(make_host: Any) -> None:
    with pytest.raises(FaultException) as raised:
        make_host(max_body=3)([1, 2, 3], Context())
    assert raised.value.exception_type == "PayloadTooLarge"


def test_a_request_is_called_what_lambda_calls_the_invocation(make_host: Any) -> None:
    host = make_host()
    assert host(event("named"), Context())["body"] == Context.aws_request_id
    named = event("named", headers={"content-type": "text/plain", "X-Amzn-RequestId": "mine"})
    assert host(named, Context())["body"] == "mine"


def test_a_process_whose_model_is_stuck_ends_at_the_next_event(
    make_host: Any, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(request_timeout=0.2)
    assert host(event("hold"), Context())["statusCode"] == 504

    def ask_on() -> None:
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            host(event("x"), Context(100))

    with pytest.raises(SystemExit) as left:
        ask_on()
    assert left.value.code == 1
    assert "did not return within 0.2 s" in caplog.text
