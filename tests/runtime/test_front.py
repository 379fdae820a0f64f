"""What passes through to the core, what is nothing of the API, and endpoints from a file."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from serving.runtime import routing
from serving.runtime.front import Endpoints
from serving.values import Request, Response
from tests.conftest import MakeSettings
from tests.runtime.conftest import MakeFront
from tests.runtime.support import ANSWER, LIMITS, Core, Front, chunks
from tests.support import Recorder, get

FILE = """
[fraud.variants.stable]
model = "7.tar.gz"
[fraud.variants.next]
model = "8.tar.gz"
[fraud.shadow]
name = "candidate"
model = "9.tar.gz"
folder = "shadow"
[churn]
"""


def post(path: str) -> Request:
    return Request("POST", path, {}, b"1")


def answered(settings: Any, core: Core, request: Request) -> Response:
    """What the API answers."""

    async def ask() -> Response:
        reply = Recorder()
        endpoints = Endpoints(core.handle, asyncio.get_running_loop(), settings)
        endpoints.handle(request, reply)
        answer = await reply.answer()
        endpoints.close()
        return answer

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "request_", [get("/ping"), post("/invocations"), post("/endpoints"), get("/models/a")]
)
def test_what_is_not_the_apis_goes_to_the_core_as_it_is(
    make_settings: MakeSettings, request_: Request
) -> None:
    core = Core()
    assert answered(make_settings(), core, request_) is ANSWER
    assert core.request is request_


@pytest.mark.parametrize(
    "request_",
    [
        get("/endpoints/any/invocations"),
        post("/endpoints/any"),
        post("/endpoints/any/"),
        post("/endpoints//invocations"),
        post("/endpoints/invocations"),
        post("/endpoints/any/invocations/"),
        post("/endpoints/any/invocations-bidirectional-stream"),
    ],
    ids=lambda request: f"{request.method} {request.path}",
)
def test_an_unknown_operation_is_refused_in_the_apis_form(
    make_settings: MakeSettings, request_: Request
) -> None:
    core = Core()
    answer = answered(make_settings(), core, request_)
    headers = dict(answer.headers)
    assert (answer.status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    assert headers["x-amzn-requestid"]
    assert isinstance(answer.body, bytes)
    message = json.loads(answer.body)["Message"]
    assert message.startswith(f"There is no {request_.method} '{request_.path}'; there is POST ")
    assert core.requests == []


def test_what_fails_in_the_api_itself_is_an_internal_failure(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(routing.Router, "route", fail)
    answer = answered(make_settings(), Core(), post("/endpoints/any/invocations"))
    assert (answer.status, answer.body) == (500, b'{"Message":"The server failed; see its log."}')
    assert dict(answer.headers)["x-amzn-errortype"] == "InternalFailure"
    assert "ZeroDivisionError" in caplog.text


def test_the_clients_time_limit_is_the_cores(make_settings: MakeSettings) -> None:
    core = Core()
    request = post("/endpoints/any/invocations")._replace(deadline=7.0, query="a=b")
    answered(make_settings(), core, request)
    assert (core.request.deadline, core.request.query) == (7.0, "")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"x-request-id": "proxy-1"}, "proxy-1"),
        ({"x-amzn-requestid": "first", "x-request-id": "second"}, "first"),
    ],
)
def test_a_request_keeps_the_name_that_it_comes_with(
    make_settings: MakeSettings, headers: dict[str, str], name: str
) -> None:
    core = Core()
    request = post("/endpoints/any/invocations")._replace(headers=headers)
    answer = answered(make_settings(), core, request)
    assert dict(answer.headers)["x-amzn-requestid"] == name
    assert core.request.headers["x-amzn-requestid"] == name


async def test_a_client_that_has_left_is_seen_by_the_core(make_settings: MakeSettings) -> None:
    core, reply = Core(), Recorder()
    core.answer = lambda _: None
    endpoints = Endpoints(core.handle, asyncio.get_running_loop(), make_settings())
    endpoints.handle(post("/endpoints/any/invocations"), reply)
    (held,) = core.held
    assert not held.gone
    reply.gone = True
    assert held.gone

    ended = asyncio.Event()

    async def body() -> Any:
        try:
            async for chunk in chunks(b"one", b"two"):
                yield chunk
        finally:
            ended.set()

    held.send(Response(200, body()))
    await asyncio.wait_for(ended.wait(), 20)
    assert reply.answers == []
    endpoints.close()


def test_what_the_host_refuses_is_an_exception_of_the_client(front: Front) -> None:
    client = front.client()
    too_large = bytes(LIMITS.max_body + 1)
    with pytest.raises(client.exceptions.ValidationError, match="The body is larger") as caught:
        client.invoke_endpoint(EndpointName="any", Body=too_large)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert front.core.requests == []


@pytest.fixture
def many(make_front: MakeFront, tmp_path: Path) -> Front:
    """The API of a server of many models, with endpoints from a file."""
    path = tmp_path / "endpoints.toml"
    path.write_text(FILE)
    return make_front(endpoints=str(path), repository="models")


MODEL = "x-amzn-sagemaker-target-model"


def named(request: Request) -> Response:
    """Answers with the name of the model that is asked."""
    return Response(200, request.headers[MODEL].encode(), "text/csv")


def test_a_variant_is_chosen_and_named(many: Front) -> None:
    many.core.answer = named
    client = many.client()
    seen = set()
    for _ in range(50):  # the odds that one is never chosen are one in 2 ** 49
        answer = client.invoke_endpoint(EndpointName="fraud", Body=b"1")
        seen.add((answer["InvokedProductionVariant"], answer["Body"].read()))
    assert seen == {("stable", b"7.tar.gz"), ("next", b"8.tar.gz")}


def test_a_target_variant_is_asked(many: Front) -> None:
    client = many.client()
    for _ in range(10):
        answer = client.invoke_endpoint(EndpointName="fraud", Body=b"1", TargetVariant="next")
        assert answer["InvokedProductionVariant"] == "next"
        assert answer["Body"].read() == ANSWER.body


def test_an_unknown_endpoint_or_variant_is_refused(many: Front) -> None:
    client = many.client()
    with pytest.raises(
        client.exceptions.ValidationError, match="Endpoint any is not known; there is fraud, churn"
    ):
        client.invoke_endpoint(EndpointName="any", Body=b"1")
    with pytest.raises(client.exceptions.ValidationError, match="has no variant 'old'"):
        client.invoke_endpoint(EndpointName="fraud", Body=b"1", TargetVariant="old")


def test_an_endpoint_without_variants_of_its_own_has_the_usual_one(many: Front) -> None:
    client = many.client()
    answer = client.invoke_endpoint(EndpointName="churn", Body=b"1", TargetModel="a.tar.gz")
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["Body"].read() == ANSWER.body
    assert many.core.request.headers[MODEL] == "a.tar.gz"


def test_the_shadow_variant_is_recorded_and_not_returned(many: Front, tmp_path: Path) -> None:
    many.core.answer = named
    told = many.client().invoke_endpoint(EndpointName="fraud", Body=b"1", TargetVariant="next")
    assert told["Body"].read() == b"8.tar.gz"

    written = tmp_path / "shadow" / "fraud" / "candidate"
    many.host.until(lambda: any(path.stat().st_size for path in written.rglob("*.jsonl")))
    (path,) = written.rglob("*.jsonl")
    record = json.loads(path.read_text())
    assert record["captureData"]["endpointOutput"]["data"] == "9.tar.gz"
    assert record["eventMetadata"]["eventId"] == told["ResponseMetadata"]["RequestId"]
    assert [request.headers[MODEL] for request in many.core.requests] == ["8.tar.gz", "9.tar.gz"]


def test_a_shadow_variant_that_fails_is_not_felt(many: Front) -> None:
    def answer(request: Request) -> Response | None:
        return None if request.headers[MODEL] == "9.tar.gz" else ANSWER

    many.core.answer = answer
    client = many.client()
    for _ in range(40):
        assert client.invoke_endpoint(EndpointName="fraud", Body=b"1")["Body"].read() == ANSWER.body
    many.host.until(lambda: len(many.core.held) == 16)
