"""Clients as they are: boto3 signs its requests, and the guard reads them from the wire."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from serving.auth.guard import Guard
from serving.values import Response
from tests.auth.support import ID, KEYS, OPERATOR, OPERATORS_SECRET, REGION, SECRET
from tests.hosts.http.support import Host

Connect = Callable[..., Any]


class Clock:
    """The server's clock: right, or wrong by some seconds."""

    def __init__(self) -> None:
        self.wrong_by = 0.0

    def __call__(self) -> float:
        return time.time() + self.wrong_by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Host]:
    """A host whose application answers the API's three operations behind a guard."""
    host = Host()
    path = "/endpoints/orders/"
    host.app.makers = {
        f"{path}invocations": partial(Response, 200, b"0.5", "text/csv"),
        f"{path}async-invocations": partial(Response, 202, b"{}", "application/json"),
        f"{path}invocations-response-stream": partial(
            Response, 200, b"", "application/vnd.amazon.eventstream"
        ),
    }
    guard = Guard(host.app.handle, lambda: KEYS, clock)
    monkeypatch.setattr(host.shared, "handle", guard.handle)
    yield host
    host.close()


@pytest.fixture
def connect(host: Host) -> Iterator[Connect]:
    """Makes clients of the host."""
    clients = []

    def make(key: str, secret: str, token: str | None = None, **config: Any) -> Any:
        client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=f"http://127.0.0.1:{host.address[1]}",
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def refusal(client: Any) -> tuple[str, int]:
    """Code and status of the error that an invocation is refused with."""
    # Not pytest.raises: the traceback that it keeps would keep the connection open.
    try:
        client.invoke_endpoint(EndpointName="orders", Body=b"1,2,3", ContentType="text/csv")
    except ClientError as error:
        response = error.response
    else:
        pytest.fail("the invocation was answered")
    assert response["Error"]["Message"]
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_client_with_a_key_is_answered(connect: Connect) -> None:
    client = connect(ID, SECRET)
    answer = client.invoke_endpoint(
        EndpointName="orders",
        Body=b"1,2,3",
        ContentType="text/csv",
        Accept="text/csv",
        CustomAttributes="a  b",
        TargetModel="path/name 1.tar.gz",
        TargetVariant="blue",
        InferenceId="7",
    )
    with closing(answer["Body"]) as body:
        assert body.read() == b"0.5"


@pytest.mark.parametrize("size", [0, 1, 4096])
def test_a_body_may_be_a_file_of_any_size(connect: Connect, size: int) -> None:
    answer = connect(ID, SECRET).invoke_endpoint(
        EndpointName="orders", Body=io.BytesIO(bytes(size))
    )
    with closing(answer["Body"]) as body:
        assert body.read() == b"0.5"


def test_a_session_token_is_part_of_a_key(connect: Connect) -> None:
    answer = connect(OPERATOR, OPERATORS_SECRET, "session/token").invoke_endpoint(
        EndpointName="orders", Body=b"1"
    )
    assert answer["Body"].read() == b"0.5"
    assert refusal(connect(OPERATOR, OPERATORS_SECRET)) == ("UnrecognizedClientException", 403)


def test_a_streamed_invocation_is_signed_too(connect: Connect) -> None:
    answer = connect(ID, SECRET).invoke_endpoint_with_response_stream(
        EndpointName="orders", Body=b"1", ContentType="text/csv", Accept="text/csv"
    )
    assert list(answer["Body"]) == []


@pytest.mark.parametrize("sent", [{"InputLocation": "s3://bucket/input.csv"}, {"Body": b"1"}])
def test_an_asynchronous_invocation_is_signed_too(connect: Connect, sent: dict[str, Any]) -> None:
    answer = connect(ID, SECRET).invoke_endpoint_async(
        EndpointName="orders", ContentType="text/csv", Accept="text/csv", **sent
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202


def test_a_client_is_refused_by_the_names_that_aws_has(connect: Connect) -> None:
    assert refusal(connect(ID, OPERATORS_SECRET)) == ("InvalidSignatureException", 403)
    assert refusal(connect("NOBODY", SECRET)) == ("UnrecognizedClientException", 403)
    unsigned = connect(ID, SECRET, signature_version=UNSIGNED)
    assert refusal(unsigned) == ("MissingAuthenticationTokenException", 403)


@pytest.mark.parametrize("seconds", [-600.0, 600.0])
def test_a_client_whose_clock_is_wrong_is_refused(
    connect: Connect, clock: Clock, seconds: float
) -> None:
    clock.wrong_by = seconds
    assert refusal(connect(ID, SECRET)) == ("InvalidSignatureException", 403)


def test_no_operation_of_the_api_leaves_the_body_unsigned() -> None:
    service = get_session().get_service_model("sagemaker-runtime")
    assert service.metadata["signingName"] == "sagemaker"
    for name in service.operation_names:
        operation = service.operation_model(name)
        assert not operation.unsigned_payload
        assert operation.auth_type is None
