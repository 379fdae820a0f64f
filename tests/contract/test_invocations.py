"""Contract §1.3: POST /invocations, its bodies, media types, answers and streams."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.contract.cases import CSV, post
from tests.contract.places import Place
from tests.contract.scripts import FRAGILE, STREAMING, Gate, script_model
from tests.hosts.http.support import Client
from tests.support import PATIENCE, Server, healthy

MIB = 1024 * 1024
TYPES = {"content-type": "text/x-numbers; base=10", "accept": "text/x-numbers, text/csv;q=0.5"}


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return script_model(tmp_path_factory.mktemp("streaming") / "model", STREAMING)


@contextmanager
def connected(server: Server) -> Iterator[Client]:
    """A connection to a server."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
        yield Client(sock)


def invocation(body: bytes) -> bytes:
    """A request of plain text, as it is on the wire."""
    head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# Bodies


def length_seen(server: Server, length: int) -> int:
    """The length that the script sees of a body of this length."""
    answer = server.ask(post(bytes(length), content_type="application/octet-stream"))
    assert answer.status == 200, answer.body
    return int(json.loads(answer.body)["length"])


def test_a_body_may_have_25_mib(place: Place, mirror: Path) -> None:
    assert length_seen(place.serve(mirror), 25 * MIB) == 25 * MIB


def test_a_larger_body_is_a_413_before_it_is_sent(place: Place, mirror: Path) -> None:
    head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: {25 * MIB + 1}\r\n\r\n"
    with connected(place.serve(mirror)) as client:
        answer = client.ask(head.encode())
        assert answer.status == 413
        assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" in answer.error["message"]
        assert client.ended()


def test_the_limit_of_a_body_can_be_set(place: Place, mirror: Path) -> None:
    server = place.serve(mirror, SAGEMAKER_MAX_PAYLOAD_IN_MB="1")
    assert length_seen(server, MIB) == MIB
    with connected(server) as client:
        head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: {MIB + 1}\r\n\r\n"
        assert client.ask(head.encode()).status == 413


# Media types


@pytest.mark.parametrize(
    "fields",
    [TYPES, {f"x-amzn-sagemaker-{name}": value for name, value in TYPES.items()}],
    ids=["as HTTP names them", "as SageMaker's API names them"],
)
def test_content_type_and_accept_reach_the_script_as_the_client_wrote_them(
    place: Place, mirror: Path, fields: dict[str, str]
) -> None:
    seen = json.loads(place.serve(mirror).ask(post(b"1", **fields)).body)
    assert seen["content_type"] == TYPES["content-type"]
    assert seen["accept"] == TYPES["accept"]


def test_header_fields_that_nobody_knows_are_ignored(place: Place, models: dict[str, Path]) -> None:
    fields = {f"x-amzn-sagemaker-new-{number}": "?" for number in range(20)}
    fields |= {"x-forwarded-for": "::1", "authorization": "AWS4-HMAC-SHA256 Credential="}
    answer = place.serve(models["onnx"]).ask(post(b"1,2", CSV, CSV, **fields))
    assert answer == (200, {"content-type": CSV}, b"2.0,4.0,3.0\n")


# Errors, and time


def test_an_error_has_the_status_and_the_message_that_sagemaker_passes_on(
    place: Place, models: dict[str, Path]
) -> None:
    answer = place.serve(models["script"]).ask(post(b"1", "image/png"))
    assert answer.status == 415
    assert json.loads(answer.body)["message"] == "Send numbers."


def test_a_request_is_answered_504_when_its_time_is_over(place: Place, tmp_path: Path) -> None:
    folder = script_model(tmp_path / "model", FRAGILE)
    _never_opened = Gate(folder)
    with place.start(folder, SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="0.5") as server:
        server.wait_until(healthy)
        assert server.ask(post(b"wait", "text/plain")).status == 504


# Streams


def test_a_stream_is_sent_in_chunks_as_they_are_made(place: Place, tmp_path: Path) -> None:
    folder = script_model(tmp_path / "model", STREAMING)
    gate = Gate(folder)
    with place.start(folder) as server:
        server.wait_until(healthy)
        with connected(server) as client:
            client.send(invocation(b"wait"))
            assert b"transfer-encoding: chunked" in client.head()
            assert client.chunk()[1] == b"first "
            gate.open("second ")  # it is made after the first has arrived
            assert [client.chunk()[1] for _ in range(3)] == [b"second ", b"last", b""]


def test_a_stream_may_take_longer_than_an_answer_may(place: Place, streaming: Path) -> None:
    server = place.serve(streaming, SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="1")
    answer = server.ask(post(b"be slow", "text/plain"))
    assert answer.body == b"first " + b"later " * 5 + b"last"


def test_an_error_after_the_first_chunk_ends_the_stream_visibly(
    place: Place, streaming: Path
) -> None:
    server = place.serve(streaming)
    with pytest.raises((HTTPException, OSError)):  # a client sees that the end is missing
        server.ask(post(b"fail", "text/plain"))
    assert "there is no second" in server.log
    answer = server.ask(post(b"", "text/plain"))
    assert answer.body == b"first last"


def test_a_client_that_leaves_stops_the_stream(place: Place, tmp_path: Path) -> None:
    folder = script_model(tmp_path / "model", STREAMING)
    with place.start(folder) as server:
        server.wait_until(healthy)
        with connected(server) as client:
            client.send(invocation(b"never end"))
            assert b"chunked" in client.head()
            client.reset()
        server.wait_until(lambda _: "the generator has ended" in server.log)
