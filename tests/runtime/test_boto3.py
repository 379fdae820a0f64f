"""Every member of the three operations, through an unmodified client of boto3."""

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
from serving.runtime import stores
from serving.values import Request, Response
from tests.runtime.conftest import MakeFront
from tests.runtime.support import ANSWER, Front, streamed

NEW_SESSION = "abc-123; Expires=2026-01-02T03:04:05Z"
OPERATIONS = ("InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync")


def members(client: Any, operation: str, shape: str) -> set[str]:
    """What the API's definition has."""
    return set(getattr(client.meta.service_model.operation_model(operation), shape).members)


def content(answer: dict[str, Any]) -> bytes:
    """The whole body of an answer, streamed or not."""
    body = answer["Body"]
    if hasattr(body, "read"):
        return bytes(body.read())
    return b"".join(event["PayloadPart"]["Bytes"] for event in body)


def written(location: str) -> bytes:
    """What an asynchronous invocation wrote to a local store."""
    path = stores.local(location)
    assert path is not None
    return path.read_bytes()


# Requests

PASSED = {
    "ContentType": ("text/csv; label_size=1", "content-type"),
    "Accept": ("application/json;q=0.5, text/csv", "accept"),
    "CustomAttributes": ("trace=7,\ttenant=a b", "x-amzn-sagemaker-custom-attributes"),
    "InferenceId": ("order 66/a", "x-amzn-sagemaker-inference-id"),
    "EnableExplanations": ("`true`", "x-amzn-sagemaker-enable-explanations"),
    "SessionId": ("NEW_SESSION", "x-amzn-sagemaker-session-id"),
    "PrefixAwareId": ("chat 1", "x-amzn-sagemaker-prefix-aware-id"),
}
"""Members that the model gets, each in a header field as it does on SageMaker."""

ROUTING = {"TargetVariant", "TargetContainerHostname", "InferenceComponentName"}
"""Members that choose who is asked; see test_routing.py."""


def test_all_of_an_invocation_reaches_the_model(front: Front, client: Any) -> None:
    given = {name: value for name, (value, _) in PASSED.items()}
    answer = client.invoke_endpoint(EndpointName="any", Body=b"1,\xff2", **given)
    assert content(answer) == ANSWER.body

    request = front.core.request
    assert (request.method, request.path, request.query) == ("POST", "/invocations", "")
    assert request.body == b"1,\xff2"
    headers = dict(request.headers)
    assert headers.pop("x-amzn-requestid")
    assert headers == {field: value for value, field in PASSED.values()}
    assert members(client, "InvokeEndpoint", "input_shape") == (
        {"EndpointName", "Body", "TargetModel"} | given.keys() | ROUTING
    )


def test_all_of_a_streamed_invocation_reaches_the_model(front: Front, client: Any) -> None:
    given = {name: value for name, (value, _) in PASSED.items() if name != "EnableExplanations"}
    given["SessionId"] = "abc-123"
    answer = client.invoke_endpoint_with_response_stream(EndpointName="any", Body=b"1,2", **given)
    assert content(answer) == ANSWER.body

    request = front.core.request
    assert (request.path, request.body) == ("/invocations", b"1,2")
    headers = dict(request.headers)
    assert headers.pop("x-amzn-requestid")
    assert headers == {PASSED[name][1]: value for name, value in given.items()}
    assert members(client, "InvokeEndpointWithResponseStream", "input_shape") == (
        {"EndpointName", "Body"} | given.keys() | ROUTING
    )


def test_all_of_an_asynchronous_invocation_is_heeded(make_front: MakeFront, store: Path) -> None:
    front = make_front(async_output=str(store))
    client = front.client()
    passed = ("ContentType", "Accept", "CustomAttributes", "InferenceId")
    given = {name: PASSED[name][0] for name in passed}
    answer = client.invoke_endpoint_async(
        EndpointName="any",
        Body=b"1,2",
        S3OutputPathExtension="2026/one",
        Filename="first.csv",
        RequestTTLSeconds=60,
        InvocationTimeoutSeconds=30,
        **given,
    )

    assert answer["OutputLocation"] == (store / "2026/one/first.csv.out").as_uri()
    front.host.until(lambda: (store / "2026/one/first.csv.out").exists())
    request = front.core.request
    assert (request.path, request.body) == ("/invocations", b"1,2")
    headers = dict(request.headers)
    assert headers.pop("x-amzn-requestid") == answer["ResponseMetadata"]["RequestId"]
    assert headers == {PASSED[name][1]: value for name, value in given.items()}
    assert members(client, "InvokeEndpointAsync", "input_shape") == (
        {"EndpointName", "Body", "S3OutputPathExtension", "Filename", "RequestTTLSeconds"}
        | {"InvocationTimeoutSeconds", "InputLocation"}
        | given.keys()
    )


def test_the_input_of_an_asynchronous_invocation_may_lie_in_the_store(
    make_front: MakeFront, store: Path
) -> None:
    front = make_front(async_output=str(store))
    store.mkdir(exist_ok=True)
    (store / "input.csv").write_bytes(b"3,4")
    answer = front.client().invoke_endpoint_async(
        EndpointName="any", InputLocation=(store / "input.csv").as_uri(), InferenceId="id-1"
    )

    assert answer["InferenceId"] == "id-1"
    front.host.until(lambda: (store / "id-1.out").exists())
    assert front.core.request.body == b"3,4"
    assert written(answer["OutputLocation"]) == ANSWER.body


def test_a_target_model_reaches_the_core_of_many_models(make_front: MakeFront) -> None:
    front = make_front(repository="models")
    answer = front.client().invoke_endpoint(EndpointName="any", Body=b"1", TargetModel="a/b.tar.gz")
    assert content(answer) == ANSWER.body
    assert front.core.request.headers["x-amzn-sagemaker-target-model"] == "a/b.tar.gz"


def test_the_clients_signature_does_not_reach_the_model(front: Front, client: Any) -> None:
    assert content(client.invoke_endpoint(EndpointName="any", Body=b"1")) == ANSWER.body
    assert front.core.request.headers.keys() == {"x-amzn-requestid"}


# Answers


def test_an_answer_has_all_its_members(front: Front, client: Any) -> None:
    front.core.answer = lambda _: Response(
        200,
        b"1\n",
        "text/csv; charset=utf-8",
        (
            ("X-Amzn-SageMaker-Custom-Attributes", "trace=7"),
            ("X-Amzn-SageMaker-New-Session-Id", NEW_SESSION),
            ("X-Amzn-SageMaker-Closed-Session-Id", "abc-122"),
            ("X-Elsewhere", "not of the API"),
        ),
    )
    answer = client.invoke_endpoint(EndpointName="any", Body=b"1")

    assert content(answer) == b"1\n"
    assert answer["ContentType"] == "text/csv; charset=utf-8"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "trace=7"
    assert answer["NewSessionId"] == NEW_SESSION
    assert answer["ClosedSessionId"] == "abc-122"
    assert answer.keys() == {"ResponseMetadata"} | members(client, "InvokeEndpoint", "output_shape")
    assert "x-elsewhere" not in answer["ResponseMetadata"]["HTTPHeaders"]


def test_a_model_that_sets_no_custom_attributes_answers_with_empty_ones(client: Any) -> None:
    answer = client.invoke_endpoint(EndpointName="any", Body=b"1", CustomAttributes="trace=7")
    assert answer["CustomAttributes"] == ""
    assert content(answer) == ANSWER.body


def test_an_answer_without_content_is_an_empty_one(front: Front, client: Any) -> None:
    front.core.answer = lambda _: Response(204)
    answer = client.invoke_endpoint(EndpointName="any", Body=b"")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert content(answer) == b""


def test_a_plain_invocation_may_be_answered_by_a_stream(front: Front, client: Any) -> None:
    front.core.answer = streamed(b"one", b"two")
    answer = client.invoke_endpoint(EndpointName="any", Body=b"1")
    assert (content(answer), answer["ContentType"]) == (b"onetwo", "text/plain")


def test_a_streamed_answer_has_all_its_members(front: Front, client: Any) -> None:
    front.core.answer = streamed(b"one", b"two", b"three")
    answer = client.invoke_endpoint_with_response_stream(EndpointName="any", Body=b"1")

    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert parts == [b"one", b"two", b"three"]
    assert answer["ContentType"] == "text/plain"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == ""
    assert answer.keys() == {"ResponseMetadata"} | members(
        client, "InvokeEndpointWithResponseStream", "output_shape"
    )


def test_a_streamed_invocation_may_be_answered_whole(front: Front, client: Any) -> None:
    answer = client.invoke_endpoint_with_response_stream(EndpointName="any", Body=b"1")
    assert (content(answer), answer["ContentType"]) == (ANSWER.body, "text/csv")


def test_an_asynchronous_answer_has_all_its_members(make_front: MakeFront, store: Path) -> None:
    front = make_front(async_output=str(store), async_failures=str(store / "failed"))
    client = front.client()
    answer = client.invoke_endpoint_async(EndpointName="any", Body=b"1")

    name = answer["InferenceId"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["OutputLocation"] == (store / f"{name}.out").as_uri()
    assert answer["FailureLocation"] == (store / "failed" / f"{name}-error.out").as_uri()
    assert answer.keys() == {"ResponseMetadata"} | members(
        client, "InvokeEndpointAsync", "output_shape"
    )
    front.host.until(lambda: (store / f"{name}.out").exists())


def test_each_request_has_an_id_of_its_own(front: Front, client: Any) -> None:
    answers = [client.invoke_endpoint(EndpointName="any", Body=b"1") for _ in range(2)]
    assert [content(answer) for answer in answers] == [ANSWER.body] * 2
    first, second = (answer["ResponseMetadata"]["RequestId"] for answer in answers)
    assert first != second
    assert [request.headers["x-amzn-requestid"] for request in front.core.requests] == [
        first,
        second,
    ]


# Errors


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
