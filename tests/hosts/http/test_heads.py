"""A head that was received before is known again, and means just what the parser made of it."""

import pytest

from serving.hosts.http.heads import LONGEST_HEAD, MOST_HEADS
from tests.hosts.http.support import HOLD, LIMITS, PING, PONG, Client, Host

ECHO = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"


def known(host: Host) -> list[bytes]:
    return host.call(lambda: list(host.shared.heads))


def test_a_head_that_comes_again_is_known(client: Client, host: Host) -> None:
    first = client.ask(ECHO + b"abc").raw
    assert known(host) == [ECHO]

    assert client.ask(ECHO + b"abc").raw == first
    assert host.connect().ask(ECHO + b"abc").raw == first
    assert client.ask(ECHO + b"def").raw == first.replace(b"abc", b"def")
    assert known(host) == [ECHO]


def test_a_known_request_may_come_in_any_segments(client: Client) -> None:
    request = ECHO + b"abc"
    whole = client.ask(request).raw

    for stop in range(1, len(request)):
        assert client.ask(request[:stop], request[stop:]).raw == whole
        client.send(request + request[:stop], request[stop:] + request)
        assert [client.answer().raw for _ in range(3)] == [whole] * 3


def test_known_and_unknown_requests_keep_their_order(client: Client, host: Host) -> None:
    client.ask(PING)
    client.send(PING + ECHO + b"abc" + PING + HOLD + PING + HOLD + PING)
    host.held().answer(b"first")
    host.held().answer(b"second")

    bodies = [client.answer().body for _ in range(7)]
    assert bodies[1].endswith(b'"abc"]')
    assert bodies[:1] + bodies[2:] == [b"", b"", b"first", b"", b"second", b""]


def test_what_looks_like_a_head_in_a_body_is_none(client: Client, host: Host) -> None:
    client.ask(PING)
    head = ECHO.replace(b"3", b"%d" % len(PING))
    for _ in range(2):
        client.send(head + PING, head, PING)
        assert [client.answer().status for _ in range(2)] == [200, 200]

    assert [request.path for request in host.app.requests] == ["/ping"] + ["/echo"] * 4


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n\r\n", b"\n\r\n\r\n"])
def test_empty_lines_are_no_head(client: Client, host: Host, before: bytes) -> None:
    secret = ECHO.replace(b"Host: a", b"Host: a\r\nAuthorization: secret")
    client.send(before + secret + b"abc")
    assert b"secret" in client.answer().body

    other = host.connect()
    assert other.ask(before + PING).raw == PONG
    assert other.ask(before, PING).raw == PONG
    assert not [head for head in known(host) if head[:1].isspace()]


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
    ids=["chunked", "upgrade", "HTTP/1.0"],
)
def test_a_head_that_means_more_than_a_length_is_not_remembered(
    client: Client, host: Host, request_: bytes
) -> None:
    answers = [client.ask(request_).raw for _ in range(3)]

    assert len(set(answers)) == 1
    assert known(host) == []


def test_an_expectation_is_met_each_time(client: Client, host: Host) -> None:
    head = ECHO.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    for _ in range(3):
        assert client.ask(head).status == 100
        assert client.ask(b"abc").status == 200

    assert known(host) == []


def test_a_known_head_does_not_reopen_a_connection_that_ends(client: Client, host: Host) -> None:
    client.ask(PING)
    client.send(PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + PING, PING)

    assert client.answer().fields["connection"] == "close"
    assert client.ended()
    assert len(host.app.requests) == 2


def test_a_known_head_does_not_follow_a_refused_request(client: Client, host: Host) -> None:
    client.ask(PING)
    assert client.ask(b"nonsense\r\n\r\n" + PING).status == 400
    client.send(PING)

    assert client.ended()
    assert len(host.app.requests) == 1


def test_a_long_head_is_not_remembered() -> None:
    host = Host(LIMITS._replace(max_head=2 * LONGEST_HEAD))
    client = host.connect()
    field = b"\r\nX: %b\r\n\r\n" % (b"x" * (LONGEST_HEAD - len(PING) - len("\r\nX: ")))
    longest = PING.replace(b"\r\n\r\n", field)
    assert len(longest) == LONGEST_HEAD
    for head in (longest, longest.replace(b"X: ", b"XX: ")):
        assert client.ask(head).raw == PONG

    assert known(host) == [longest]
    host.close()


def test_only_so_many_heads_are_remembered(client: Client, host: Host) -> None:
    for number in range(MOST_HEADS + 10):
        assert client.ask(PING.replace(b"ping", b"ping?%d" % number)).raw == PONG

    assert len(known(host)) == 10
