"""Clients that stop sending, stop reading, or leave."""

from itertools import repeat

import pytest

from serving.hosts.http.connection import PIPELINE
from serving.values import Response
from tests.hosts.http.support import HOLD, LIMITS, PING, Client, Host

LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab"
BODY = b"x" * (1 << 20)
REQUEST = LIMITS.request_timeout


# Half-closed connections.


def test_a_client_may_stop_sending_after_its_request(client: Client) -> None:
    client.send(PING)
    client.finish()

    assert client.answer().status == 200
    assert client.ended()


def test_a_client_that_stopped_sending_gets_its_late_answers(client: Client, host: Host) -> None:
    client.send(HOLD + HOLD + PING)
    client.finish()
    connection = host.connection
    host.until(lambda: connection._finished)
    first, second = host.held(), host.held()
    second.answer(b"second")
    first.answer(b"first")

    assert [client.answer().body for _ in range(2)] == [b"first", b"second"]
    assert client.answer().fields["connection"] == "close"
    assert client.ended()


def test_more_requests_than_fit_are_answered_though_the_client_stopped_sending(
    client: Client, host: Host
) -> None:
    client.send(HOLD * (PIPELINE + 10))
    client.finish()
    for _ in range(PIPELINE + 10):
        host.held().answer(b"late")

    answers = [client.answer() for _ in range(PIPELINE + 10)]
    assert {answer.body for answer in answers} == {b"late"}
    assert client.ended()


def test_a_connection_that_is_closed_unused_is_closed(client: Client, host: Host) -> None:
    client.finish()

    assert client.ended()
    host.until(lambda: not host.shared.connections)


@pytest.mark.parametrize("length", range(1, len(POST)))
def test_a_request_that_is_cut_short_is_refused(host: Host, length: int) -> None:
    client = host.connect()
    client.send(POST[:length])
    client.finish()

    answer = client.answer()
    assert answer.status == 400
    assert answer.error["message"] == "The request ended before it was complete."
    assert client.ended()
    assert not host.app.requests


# Reset connections.


def test_a_reset_amidst_a_request_harms_nobody(host: Host) -> None:
    for length in range(1, len(POST), 5):
        leaver = host.connect()
        leaver.send(POST[:length])
        connection = host.connection
        host.until(lambda connection=connection: connection._receiver.active)  # type: ignore[misc]
        leaver.reset()
        host.until(lambda connection=connection: connection.lost)  # type: ignore[misc]

    assert host.connect().ask(PING).status == 200
    assert [request.path for request in host.app.requests] == ["/ping"]


def test_a_reset_is_known_while_the_answer_is_made(host: Host) -> None:
    leaver = host.connect()
    leaver.send(HOLD + HOLD + PING)
    first, second = host.held(), host.held()
    assert not first.reply.gone
    leaver.reset()
    host.until(lambda: first.reply.gone and second.reply.gone)

    second.answer(b"nobody reads this")
    first.answer(b"nobody reads this")
    assert host.connect().ask(PING).status == 200


def test_requests_that_wait_are_dropped_when_the_client_leaves(host: Host) -> None:
    leaver = host.connect()
    leaver.send(HOLD * (PIPELINE + 10))
    held = [host.held() for _ in range(PIPELINE)]
    # While so many wait nothing is read, so the reset shows when an answer is written.
    leaver.reset()
    held[0].answer(BODY)
    host.until(lambda: held[0].reply.gone)
    for each in held[1:]:
        each.answer(b"")

    assert host.connect().ask(PING).status == 200
    assert len(host.app.requests) <= PIPELINE + 2


# Clients that do not read.


def deaf(host: Host, count: int, size: int) -> Client:
    """A client that has asked for far more than the kernel keeps for it, and reads nothing."""
    host.app.makers["/large"] = lambda: Response(200, BODY[:1] * size)
    client = host.connect(receive_buffer=4096)
    client.send(LARGE * count)
    connection = host.connection
    host.until(lambda: bool(connection._blocked_since))
    return client


def test_a_client_that_does_not_read_is_not_served_further(host: Host) -> None:
    client = deaf(host, 60, 1 << 20)
    connection = host.connection
    transport = connection._transport
    host.until(lambda: not transport.is_reading())
    assert len(host.app.requests) < 20

    # It is served on as it reads: one answer more whenever less than the mark is left to write.
    _, mark = host.call(transport.get_write_buffer_limits)
    for _ in range(60):
        assert host.call(transport.get_write_buffer_size) <= mark + (1 << 20) + 1000
        assert len(client.answer().body) == 1 << 20
    assert client.ask(PING).status == 200


def test_small_answers_pile_up_no_further_than_large_ones(host: Host) -> None:
    client = deaf(host, 20_000, 1000)
    connection = host.connection

    assert host.call(connection._transport.get_write_buffer_size) < 100_000
    assert [len(client.answer().body) for _ in range(20_000)] == [1000] * 20_000


def test_a_client_that_asks_on_without_reading_is_not_read_from(host: Host) -> None:
    client = deaf(host, 60, 1 << 20)
    client.sock.setblocking(False)
    pings = repeat(PING * 1000, 10_000)
    with pytest.raises(BlockingIOError):
        client.send(*pings)

    assert len(host.app.requests) < 20


def test_a_client_that_does_not_read_is_cut_after_a_while(host: Host) -> None:
    client = deaf(host, 1, 16 << 20)
    connection = host.connection
    host.sweep(REQUEST - 1)
    assert not connection.lost

    host.sweep(REQUEST + 1)
    host.until(lambda: connection.lost)
    assert client.cut()


def test_a_last_response_is_written_to_a_slow_reader(host: Host) -> None:
    host.app.makers["/large"] = lambda: Response(200, BODY * 16)
    client = host.connect(receive_buffer=4096)
    client.send(LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    connection = host.connection
    host.until(lambda: bool(connection._blocked_since))
    host.sweep(REQUEST - 1)

    assert len(client.answer().body) == len(BODY) * 16
    assert client.ended()


def test_a_slow_reader_is_not_a_slow_sender(host: Host) -> None:
    host.app.makers["/large"] = lambda: Response(200, BODY * 16)
    client = host.connect(receive_buffer=4096)
    client.send(LARGE + PING[:5])
    connection = host.connection
    host.until(lambda: bool(connection._blocked_since))
    host.sweep(REQUEST - 1)

    assert len(client.answer().body) == len(BODY) * 16
    host.sweep(REQUEST)  # its time to go on runs only since it read
    assert client.ask(PING[5:]).status == 200
