"""Limits of size and time: what is refused, when, and that the client gets to read why."""

import math
from collections.abc import Iterable
from itertools import repeat

import pytest

from serving.hosts.http.connection import LINGER_SECONDS
from tests.hosts.http.support import LIMITS, PING, Client, Host

MAX_HEAD, MAX_BODY, REQUEST, RECEIVE, IDLE = LIMITS

CHUNKED = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def with_length(size: int) -> bytes:
    return b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size


def flood(client: Client, pieces: Iterable[bytes]) -> None:
    """Send on and on, until the server no longer takes it."""
    try:
        client.send(*pieces)
    except ConnectionError:
        return
    pytest.fail("the server took everything")


# Size.


@pytest.mark.parametrize(
    "head",
    [
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * (MAX_HEAD // 6) + b"\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\n"
        + b"".join(b"X%d: 1\r\n" % number for number in range(MAX_HEAD // 6))
        + b"\r\n",
        b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ping?" + b"x" * MAX_HEAD + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\n" + b"x" * MAX_HEAD + b": 1\r\n\r\n",
    ],
    ids=[
        "a long field",
        "equal fields",
        "many fields",
        "a long path",
        "a long query",
        "a long name",
    ],
)
def test_a_large_head_is_refused(host: Host, head: bytes) -> None:
    for pieces in [(head + PING,), (head[:500], head[500:]), [bytes([byte]) for byte in head]]:
        client = host.connect()
        answer = client.ask(*pieces)
        assert answer.error["code"] == 431
        assert f"{MAX_HEAD} bytes" in answer.error["message"]
        assert answer.fields["connection"] == "close"
        assert client.ended()
    assert not host.app.requests


def test_a_head_may_be_as_large_as_the_limit(client: Client) -> None:
    small = b"GET /ping HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
    head = small.replace(b"X: ", b"X: " + b"x" * (MAX_HEAD - len(small)))

    assert len(head) == MAX_HEAD
    assert client.ask(head).status == 200
    assert client.ask(*(bytes([byte]) for byte in head)).status == 200


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"x"),
        (b"GET /", b"x" * 100),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n", b"X: 1\r\n"),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n", b"x" * 100),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nX: ", b"x" * 100),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nX:", b" " * 100),
        (CHUNKED + b"3\r\nabc\r\n0\r\n", b"X: 1\r\n"),
        (CHUNKED + b"3\r\nabc\r\n0\r\nX: ", b"x" * 100),
        (CHUNKED + b"3;", b"x" * 100),
        (CHUNKED, b"0" * 100),
    ],
    ids=[
        "method",
        "path",
        "fields",
        "name",
        "value",
        "space",
        "trailers",
        "trailer",
        "chunk extension",
        "chunk size",
    ],
)
def test_what_never_ends_is_refused_soon(host: Host, start: bytes, piece: bytes) -> None:
    client = host.connect()
    client.send(start)
    connection = host.connection
    sent = 0
    while not host.call(lambda: connection._receiver._stopped):
        client.send(piece)
        sent += len(piece)
        assert sent < 3 * MAX_HEAD

    assert client.answer().error["code"] in {400, 431}
    assert client.ended()


def test_each_byte_of_a_body_may_have_a_chunk_of_its_own(client: Client) -> None:
    chunks = [b"01;x\r\nx\r\n"] * MAX_BODY

    assert client.ask(CHUNKED, *chunks, b"0\r\n\r\n").status == 200
    assert client.ask(PING).status == 200


@pytest.mark.parametrize("size", [MAX_BODY + 1, 10**9, 2**63, 2**64 - 1])
def test_a_body_announced_too_large_is_refused_at_once(client: Client, size: int) -> None:
    answer = client.ask(with_length(size))

    assert answer.error["code"] == 413
    assert f"{MAX_BODY} bytes" in answer.error["message"]
    assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" in answer.error["message"]
    assert client.ended()


@pytest.mark.parametrize("size", [1, 100, MAX_BODY, MAX_BODY + 1])
def test_a_body_that_grows_too_large_is_refused(host: Host, size: int) -> None:
    client = host.connect()
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    count = math.ceil((MAX_BODY + 1) / size)

    answer = client.ask(CHUNKED, chunk * count)
    assert answer.error["code"] == 413
    assert client.ended()
    assert not host.app.requests


def test_a_chunk_that_is_larger_than_what_is_left_is_not_awaited(client: Client) -> None:
    client.send(CHUNKED, b"%x\r\n" % (1 << 40), b"x" * (MAX_BODY + 1))

    assert client.answer().error["code"] == 413
    assert client.ended()


def test_a_body_may_be_as_large_as_the_limit(client: Client) -> None:
    content = b"x" * MAX_BODY

    assert client.ask(with_length(MAX_BODY) + content).status == 200
    assert client.ask(CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (MAX_BODY, content)).status == 200


def test_a_refused_client_that_goes_on_sending_reads_why(client: Client) -> None:
    client.send(with_length(10 << 20), *[b"x" * 65536] * 16)

    assert client.answer().error["code"] == 413
    assert client.ended()


def test_a_refused_client_is_cut_when_it_does_not_stop(client: Client, host: Host) -> None:
    assert client.ask(with_length(10 << 20)).error["code"] == 413
    assert client.ended()
    client.send(b"x" * 65536)
    host.sweep(LINGER_SECONDS - 1)
    client.send(b"x" * 65536)
    assert host.call(lambda: len(host.shared.connections)) == 1

    host.sweep(LINGER_SECONDS + 1)
    host.until(lambda: not host.shared.connections)
    flood(client, repeat(b"x" * 65536, 10_000))


# Time.


def begun(host: Host, client: Client, start: bytes) -> None:
    """Send the beginning of a request and wait until it is there."""
    client.send(start)
    connection = host.connection
    host.until(lambda: connection._receiver.active)


@pytest.mark.parametrize("start", [b"G", PING[:-1], with_length(3), with_length(3) + b"ab"])
def test_silence_amidst_a_request_is_refused(client: Client, host: Host, start: bytes) -> None:
    begun(host, client, start)
    host.sweep(RECEIVE - 1)
    assert host.connection.busy

    host.sweep(RECEIVE + 1)
    answer = client.answer()
    assert answer.error["code"] == 408
    assert answer.error["message"] == (
        "The request did not arrive whole: it may be silent for 30 s and take 60 s."
    )
    assert client.ended()


def test_a_request_that_drips_is_refused(client: Client, host: Host) -> None:
    begun(host, client, PING[:1])
    receiver = host.connection._receiver
    for second in range(10, 60, 10):
        # A byte every ten seconds: never silent for long.
        host.call(lambda now=receiver._began + second: setattr(receiver, "since", now))  # type: ignore[misc]
        host.sweep(second)
        assert host.call(lambda: receiver.active)

    host.sweep(REQUEST + 1)
    assert client.answer().error["code"] == 408
    assert client.ended()


def test_a_slow_request_is_refused_after_the_answers_before_it(client: Client, host: Host) -> None:
    begun(host, client, PING.replace(b"ping", b"hold") + PING[:5])
    held = host.held()
    host.sweep(RECEIVE + 1)
    held.answer(b"first")

    assert client.answer().body == b"first"
    assert client.answer().error["code"] == 408
    assert client.ended()


def test_an_idle_connection_is_closed(client: Client, host: Host) -> None:
    assert client.ask(PING).status == 200
    host.sweep(IDLE - 1)
    assert client.ask(PING).status == 200

    host.sweep(IDLE + 1)
    assert client.ended()


def test_a_connection_that_was_never_used_is_closed(client: Client, host: Host) -> None:
    assert not host.connection.busy
    host.sweep(IDLE + 1)

    assert client.ended()


def test_waiting_for_an_answer_is_not_idleness(client: Client, host: Host) -> None:
    client.send(PING.replace(b"ping", b"hold"))
    held = host.held()
    host.sweep(1000)
    held.answer(b"late")
    assert client.answer().body == b"late"

    host.sweep(1000 + IDLE - 1)  # idle only since the answer
    assert client.ask(PING).status == 200


def test_a_client_that_waits_to_continue_is_not_slow(client: Client, host: Host) -> None:
    begun(
        host,
        client,
        PING.replace(b"ping", b"hold")
        + b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    )
    held = host.held()
    host.sweep(1000)
    held.answer(b"late")

    assert client.answer().body == b"late"
    assert client.answer().status == 100
    host.sweep(1000 + RECEIVE - 1)  # its time runs only since then
    assert client.ask(b"abc").status == 200


def test_a_client_whose_requests_wait_is_not_slow(client: Client, host: Host) -> None:
    begun(host, client, PING.replace(b"ping", b"hold") * 100 + PING[:5])
    held = [host.held() for _ in range(64)]
    host.sweep(1000)
    for each in held:
        each.answer(b"late")
    for _ in range(36):
        host.held().answer(b"late")

    assert [client.answer().body for _ in range(100)] == [b"late"] * 100
    host.sweep(1000 + RECEIVE - 1)
    assert client.ask(PING[5:]).status == 200


def test_a_request_tells_until_when_its_answer_is_worth_anything(
    client: Client, host: Host
) -> None:
    for _ in range(2):
        client.send(PING.replace(b"ping", b"hold"))
        held = host.held()
        since = host.connection._receiver.since
        assert held.request.deadline == since + REQUEST
        held.answer(b"")
        client.answer()
