"""What an SDK client gets of an answer."""

from pathlib import Path
from typing import Any

from serving.values import Response
from tests.runtime.boto3.support import NEW_SESSION, content, members
from tests.runtime.conftest import MakeFront
from tests.runtime.support import ANSWER, Front, streamed


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
