"""What becomes of connections while the server stops."""

import time

import pytest

from serving.hosts.http.connection import PARTING_SECONDS
from tests.hosts.http.support import DATE, HOLD, PING, PONG, Client, Host

LAST_PONG = PONG.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"


def drain(host: Host, seconds: float = 0) -> None:
    """Stop, as the worker does, as if so many seconds had gone by."""
    host.app.draining = True
    now = time.monotonic() + seconds
    host.call(lambda: [connection.drain(now) for connection in list(host.shared.connections)])


def test_an_idle_connection_is_closed(client: Client, host: Host) -> None:
    assert client.ask(PING).raw == PONG
    drain(host, PARTING_SECONDS + 1)

    assert client.ended()


def test_a_request_that_is_on_its_way_is_answered(client: Client, host: Host) -> None:
    assert client.ask(PING).raw == PONG
    drain(host)
    client.send(PING)

    assert client.rest() == LAST_PONG


def test_a_connection_opened_meanwhile_is_answered_once(host: Host) -> None:
    host.app.draining = True
    client = host.connect()
    client.send(PING)

    assert client.rest() == LAST_PONG


def test_a_request_in_flight_is_answered(client: Client, host: Host) -> None:
    client.send(HOLD)
    held = host.held()
    drain(host, 1000)
    held.answer(b"late")

    assert client.rest() == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"content-length: 4\r\nconnection: close\r\n\r\nlate"
    )


@pytest.mark.parametrize("length", [1, len(POST) - 1, len(POST), len(POST) + 2])
def test_a_request_that_was_begun_is_answered(client: Client, host: Host, length: int) -> None:
    request = POST + b"abc"
    client.send(request[:length])
    connection = host.connection
    host.until(lambda: connection.busy)
    drain(host, 1000)

    answer = client.ask(request[length:])
    assert answer.status == 200
    assert answer.fields["connection"] == "close"
    assert client.ended()


def test_all_pipelined_requests_that_were_begun_are_answered(client: Client, host: Host) -> None:
    client.send(HOLD + HOLD + PING + POST[:10])
    first, second = host.held(), host.held()
    drain(host, 1000)
    first.answer(b"first")
    second.answer(b"second")

    answers = [client.answer() for _ in range(3)]
    client.send(POST[10:] + b"abc" + PING)
    answers.append(client.answer())
    assert [answer.body for answer in answers[:3]] == [b"first", b"second", b""]
    closing = [answer.fields.get("connection") for answer in answers]
    assert closing == [None, None, None, "close"]
    assert client.ended()


def test_nothing_follows_the_response_that_says_close(client: Client, host: Host) -> None:
    assert client.ask(PING).raw == PONG
    drain(host)
    client.send(PING + PING + b"nonsense\r\n\r\n", PING)

    assert client.rest() == LAST_PONG
    assert len(host.app.requests) == 2


def test_a_stream_runs_to_its_end(client: Client, host: Host) -> None:
    source = host.source("/stream")
    client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    source.put(b"abc")
    assert b"chunked" in client.head()
    drain(host, 1000)
    source.put(b"def", None)

    assert client.rest() == b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"


def test_a_stream_that_begins_meanwhile_is_the_last_response(client: Client, host: Host) -> None:
    source = host.source("/stream")
    assert client.ask(PING).raw == PONG
    drain(host)
    client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    source.put(b"abc")
    assert b"connection: close" in client.head()
    client.send(HOLD)
    source.put(None)

    assert client.rest() == b"3\r\nabc\r\n0\r\n\r\n"
    assert host.app.held.empty()
