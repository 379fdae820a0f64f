"""What an SDK client sends reaches the model."""

from pathlib import Path
from typing import Any

from tests.runtime.boto3.support import content, members, written
from tests.runtime.conftest import MakeFront
from tests.runtime.support import ANSWER, Front

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
