"""Errors are those that the API defines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from serving.errors import (
    DeadlineExceeded,
    DecodeError,
    InsufficientStorage,
    ModelNotFound,
    ModelNotReady,
    Overloaded,
    PredictionError,
    ServingError,
)
from serving.problems import response
from serving.values import Request, Response
from tests.runtime.conftest import MakeFront
from tests.runtime.support import Front, streamed


def invoke(client: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(EndpointName="any", Body=b"1")
    return caught.value


def invoke_with_stream(client: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint_with_response_stream(EndpointName="any", Body=b"1")
    return caught.value


BOTH = pytest.mark.parametrize("fail", [invoke, invoke_with_stream], ids=["plain", "stream"])
Fail = Callable[[Any], ClientError]


def refused(error: ServingError) -> Callable[[Request], Response]:
    return lambda _: response(error)


@BOTH
@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (Response(418, b"I am a teapot.", "text/plain"), 418, "I am a teapot."),
        (Response(503, b"The script's own.", "text/plain"), 503, "The script's own."),
        (Response(302, b""), 302, ""),
        (Response(500, b"\xff", "application/json"), 500, "\ufffd"),
        (Response(500, b"[1]", "application/json"), 500, "[1]"),
        (Response(500, b"x" * 5000, "text/plain"), 500, "x" * 2048),
    ],
    ids=["client", "busy script", "redirect", "bytes", "JSON", "long"],
)
def test_a_models_error_is_a_model_error(
    front: Front, client: Any, fail: Fail, answer: Response, status: int, message: str
) -> None:
    front.core.answer = lambda _: answer
    error = fail(client)

    assert isinstance(error, client.exceptions.ModelError)
    told: Any = error.response
    assert told["Error"]["Code"] == "ModelError"
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert told["OriginalStatusCode"] == status
    assert told["OriginalMessage"] == message
    assert told["LogStreamArn"] == ""
    side = "client" if 400 <= status < 500 else "server"
    assert told["Error"]["Message"].startswith(f"Received {side} error ({status}) from model with ")
    assert message[:1000] in told["Error"]["Message"]


@BOTH
@pytest.mark.parametrize("error", [DecodeError("No."), InsufficientStorage("No.")])
def test_what_the_core_answers_a_client_of_its_own_is_the_original_message(
    front: Front, client: Any, fail: Fail, error: ServingError
) -> None:
    front.core.answer = refused(error)
    told: Any = fail(client).response
    assert told["OriginalStatusCode"] == error.status
    assert told["OriginalMessage"].encode() == response(error).body


@BOTH
def test_a_model_that_runs_out_of_time_has_no_original_status(
    front: Front, client: Any, fail: Fail
) -> None:
    front.core.answer = refused(DeadlineExceeded("Too late."))
    told: Any = fail(client).response
    assert (told["OriginalStatusCode"], told["OriginalMessage"]) == (0, "Too late.")


@BOTH
@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (ModelNotReady("Loading."), "ModelNotReadyException", 429),
        (Overloaded("Full."), "ServiceUnavailable", 503),
        (ModelNotFound("None."), "ValidationError", 400),
    ],
)
def test_what_the_server_says_of_itself_is_no_model_error(
    front: Front, client: Any, fail: Fail, error: ServingError, code: str, status: int
) -> None:
    error.headers = (("retry-after", "3"), ("x-other", "1"))
    front.core.answer = refused(error)
    raised = fail(client)

    assert isinstance(raised, getattr(client.exceptions, code))
    told: Any = raised.response
    assert told["Error"] == {"Code": code, "Message": str(error)}
    assert told["Message"] == str(error)
    assert told["ResponseMetadata"]["HTTPStatusCode"] == status
    headers = told["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["retry-after"], "x-other" in headers) == ("3", False)
    assert told["ResponseMetadata"]["RequestId"]


@BOTH
def test_a_stream_that_fails_at_once_is_an_ordinary_error(
    front: Front, client: Any, fail: Fail
) -> None:
    front.core.answer = streamed(PredictionError("It broke."))
    told: Any = fail(client).response
    assert told["OriginalStatusCode"] == 500
    assert json.loads(told["OriginalMessage"])["message"] == "It broke."


@BOTH
def test_a_streamed_error_is_a_model_error(front: Front, client: Any, fail: Fail) -> None:
    front.core.answer = streamed(b"It ", b"broke.", status=418)
    told: Any = fail(client).response
    assert (told["OriginalStatusCode"], told["OriginalMessage"]) == (418, "It broke.")


def test_an_error_after_the_first_part_is_the_last_event(front: Front, client: Any) -> None:
    front.core.answer = streamed(b"one", PredictionError("It broke."))
    answer = client.invoke_endpoint_with_response_stream(EndpointName="any", Body=b"1")

    events = iter(answer["Body"])
    assert next(events) == {"PayloadPart": {"Bytes": b"one"}}
    with pytest.raises(EventStreamError) as caught:
        next(events)
    assert caught.value.response["Error"] == {"Code": "ModelStreamError", "Message": "It broke."}
    answer["Body"].close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"EndpointName": "under_score"}, "EndpointName is 'under_score'; it takes letters"),
        ({"EndpointName": "a/b"}, "EndpointName is 'a/b'"),
        ({"EndpointName": "x" * 64}, "EndpointName has 64 characters; it may have 63 at most"),
        ({"CustomAttributes": "x" * 1025}, "CustomAttributes has 1025 characters"),
        ({"TargetVariant": "-a"}, "TargetVariant is '-a'"),
        ({"TargetModel": "a.tar.gz"}, "has one model and takes no TargetModel"),
        ({"InferenceId": "x" * 65}, "InferenceId has 65 characters"),
        ({"SessionId": "OLD_SESSION"}, "SessionId is 'OLD_SESSION'; it takes NEW_SESSION, or"),
    ],
)
def test_what_breaks_a_rule_of_the_api_is_a_validation_error(
    front: Front, client: Any, given: dict[str, str], message: str
) -> None:
    with pytest.raises(client.exceptions.ValidationError, match=message):
        client.invoke_endpoint(**{"EndpointName": "any", "Body": b"1", **given})
    assert front.core.requests == []


def test_a_session_cannot_be_opened_by_a_streamed_invocation(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationError, match="SessionId is 'NEW_SESSION'"):
        client.invoke_endpoint_with_response_stream(
            EndpointName="any", Body=b"1", SessionId="NEW_SESSION"
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Body and InputLocation exclude each other; give one of them"),
        ({"Body": b"1", "InputLocation": "s3://a/b"}, "give one of them"),
        ({"Body": b"x" * 128_001}, "128001 bytes; at most 128000 may come in a request"),
        ({"InputLocation": "ftp://a/b"}, "InputLocation is 'ftp://a/b'; inputs are read from"),
        ({"InputLocation": "input.csv"}, "InputLocation is 'input.csv'; it takes an address"),
        ({"InputLocation": "https://169.254.169.254/b"}, "inputs are read from file:///"),
        ({"InputLocation": "file:///etc/passwd"}, "SERVING_ASYNC_INPUTS sets that"),
        ({"Body": b"1", "RequestTTLSeconds": 21_601}, "is 21601; it takes 60 to 21600"),
        ({"Body": b"1", "InvocationTimeoutSeconds": 3601}, "it takes 1 to 3600"),
        ({"Body": b"1", "Filename": "a.b.c"}, "Filename is 'a.b.c'"),
        ({"Body": b"1", "S3OutputPathExtension": "a/../.."}, "begins with a dot"),
    ],
)
def test_what_breaks_a_rule_of_asynchronous_invocations_is_a_validation_error(
    make_front: MakeFront, store: Path, given: dict[str, Any], message: str
) -> None:
    client = make_front(async_output=str(store)).client()
    with pytest.raises(client.exceptions.ValidationError, match=message):
        client.invoke_endpoint_async(EndpointName="any", **given)
    assert not list(store.rglob("*-*"))


def test_without_a_store_there_are_no_asynchronous_invocations(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationError, match="SERVING_ASYNC_OUTPUT"):
        client.invoke_endpoint_async(EndpointName="any", Body=b"1")
