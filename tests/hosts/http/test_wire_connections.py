"""Connections as bytes: those that persist, their end, and pipelining."""

import pytest

from serving.hosts.http.connection import PIPELINE
from tests.hosts.http.support import DATE, HOLD, PING, PONG, Client, Host
from tests.hosts.http.wire import echoed, get

# Connections that persist, and their end.


def test_a_connection_persists(client: Client) -> None:
    assert [client.ask(PING).raw for _ in range(3)] == [PONG] * 3


def test_connection_close_is_answered_in_kind_and_ends_the_connection(client: Client) -> None:
    answer = client.ask(get("/ping", "Connection: close"))

    assert answer.raw == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"content-length: 0\r\nconnection: close\r\n\r\n"
    )
    assert client.ended()


@pytest.mark.parametrize("field", ["Connection: Close", "Connection: x, close", "CONNECTION:close"])
def test_connection_close_is_found_in_any_spelling(client: Client, field: str) -> None:
    assert client.ask(get("/ping", field)).fields["connection"] == "close"
    assert client.ended()


def test_http_1_0_ends_after_one_response(client: Client) -> None:
    client.send(b"GET /ping HTTP/1.0\r\n\r\n")

    assert client.rest() == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"content-length: 0\r\nconnection: close\r\n\r\n"
    )


def test_http_1_0_persists_if_the_client_asks_for_it(client: Client) -> None:
    request = b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    expected = (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"content-length: 0\r\nconnection: keep-alive\r\n\r\n"
    )

    assert [client.ask(request).raw for _ in range(2)] == [expected] * 2


def test_what_follows_a_request_that_closes_is_not_interpreted(client: Client, host: Host) -> None:
    client.send(get("/hold", "Connection: close") + PING + b"garbage\r\n\r\n", PING)
    host.held().answer(b"last")

    answer = client.answer()
    assert answer.body == b"last"
    assert answer.fields["connection"] == "close"
    assert client.ended()
    assert [request.path for request in host.app.requests] == ["/hold"]


def test_empty_lines_before_a_request_are_ignored(client: Client) -> None:
    assert client.ask(b"\r\n\r\n" + PING).raw == PONG
    assert client.ask(b"\r\n", PING).raw == PONG


# Pipelining.


def test_pipelined_requests_are_answered_in_their_order(client: Client) -> None:
    client.send(b"".join(get(f"/echo?{number}") for number in range(200)))

    queries = [echoed(client.answer().body)["query"] for _ in range(200)]
    assert queries == [str(number) for number in range(200)]


def test_an_answer_that_is_ready_first_waits_for_those_before_it(
    client: Client, host: Host
) -> None:
    client.send(HOLD + HOLD + PING)
    first, second = host.held(), host.held()
    second.answer(b"second")
    first.answer(b"first")

    assert [client.answer().body for _ in range(3)] == [b"first", b"second", b""]


def test_only_so_many_requests_of_a_connection_are_worked_on_at_once(
    client: Client, host: Host
) -> None:
    total = 3 * PIPELINE
    client.send(HOLD * total)
    held = [host.held() for _ in range(PIPELINE)]
    assert len(host.call(lambda: list(host.app.requests))) == PIPELINE

    for number in range(total):
        held[number].answer(b"%d" % number)
        if len(held) < total:
            held.append(host.held())  # each answer makes room for one more

    assert [int(client.answer().body) for _ in range(total)] == list(range(total))
    assert client.ask(PING).raw == PONG


def test_requests_beyond_the_limit_are_answered_though_the_first_come_last(
    client: Client, host: Host
) -> None:
    client.send(HOLD * PIPELINE + PING * 10)
    held = [host.held() for _ in range(PIPELINE)]
    for each in reversed(held):
        each.answer(b"late")

    assert [client.answer().body for _ in range(PIPELINE)] == [b"late"] * PIPELINE
    assert [client.answer().raw for _ in range(10)] == [PONG] * 10


def test_thousands_of_waiting_requests_do_not_exhaust_the_stack(client: Client, host: Host) -> None:
    client.send(HOLD * PIPELINE, PING * 4000)
    for each in [host.held() for _ in range(PIPELINE)]:
        each.answer(b"")

    assert [client.answer().raw for _ in range(PIPELINE + 4000)] == [PONG] * (PIPELINE + 4000)


def test_thousands_of_upgrade_offers_do_not_exhaust_the_stack(client: Client) -> None:
    client.send(get("/ping", "Connection: Upgrade", "Upgrade: h2c") * 3000)

    assert [client.answer().raw for _ in range(3000)] == [PONG] * 3000


def test_an_unreadable_request_is_refused_after_the_answers_before_it(
    client: Client, host: Host
) -> None:
    client.send(HOLD + b"nonsense\r\n\r\n" + PING)
    host.held().answer(b"first")

    assert client.answer().body == b"first"
    refusal = client.answer()
    assert refusal.error["code"] == 400
    assert refusal.fields["connection"] == "close"
    assert client.ended()
