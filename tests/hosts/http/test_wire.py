"""Requests and responses as bytes: connections that persist, pipelining, targets, versions."""

import json
import socket
import ssl
from typing import Any

import pytest

from serving.hosts.http.connection import PIPELINE
from serving.values import Response
from tests.hosts.http.support import DATE, HOLD, PING, PONG, Client, Host


def get(target: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: a", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def echoed(body: bytes) -> dict[str, Any]:
    """What the echo says it received."""
    method, path, query, headers, content = json.loads(body)
    return {
        "method": method,
        "path": path,
        "query": query,
        "headers": dict(headers),
        "body": content,
    }


def error(line: bytes, kind: str, message: str, *, close: bool) -> bytes:
    body = json.dumps(
        {"code": int(line[9:12]), "type": kind, "message": message}, separators=(",", ":")
    ).encode()
    return b"%b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n%b\r\n%b\n" % (
        line,
        DATE,
        len(body) + 1,
        b"connection: close\r\n" if close else b"",
        body,
    )


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


# What a request is taken to be.


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/echo", "/echo", ""),
        ("/echo?", "/echo", ""),
        ("/echo?a=1&b=%20?c", "/echo", "a=1&b=%20?c"),
        ("/%65cho", "/echo", ""),
        ("http://example.com/echo?a", "/echo", "a"),
        ("HTTP://example.com:8080/echo", "/echo", ""),
    ],
)
def test_a_target_is_a_path_and_a_query(client: Client, target: str, path: str, query: str) -> None:
    request = echoed(client.ask(get(target)).body)

    assert (request["path"], request["query"]) == (path, query)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/nothing", "/nothing"),
        ("/PING", "/PING"),
        ("//ping", "//ping"),
        ("/ping/", "/ping/"),
        ("/ping#part", "/ping#part"),
        ("/a%2Fb%3Fc", "/a/b?c"),
        ("/%e2%82%ac", "/\u20ac"),
        ("http://example.com", "/"),
        ("http://example.com?ping", "/"),
        ("*", "*"),
    ],
)
def test_another_target_is_not_found_and_the_connection_persists(
    client: Client, target: str, path: str
) -> None:
    method = "OPTIONS" if target == "*" else "GET"
    answer = client.ask(get(target, method=method))

    assert answer.error["message"] == f"There is nothing at {path!r}."
    assert client.ask(PING).raw == PONG


def test_header_fields_are_lower_case_stripped_and_joined(client: Client) -> None:
    request = get(
        "/echo", "ACCEPT:text/csv", "Empty:", "x-A: 1 \t", "X-a:2", "Accept: \t*/* ", "Obs: \xe9"
    )

    assert echoed(client.ask(request).body)["headers"] == {
        "host": "a",
        "accept": "text/csv, */*",
        "empty": "",
        "x-a": "1, 2",
        "obs": "\xe9",
    }


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_the_method_is_the_applications_business(client: Client, method: str) -> None:
    assert echoed(client.ask(get("/echo", method=method)).body)["method"] == method


@pytest.mark.parametrize(
    "line",
    [
        b"BREW /ping HTTP/1.1",
        b"get /ping HTTP/1.1",
        b"GET\t/ping HTTP/1.1",
        b"GET /ping HTTP/1.1 ",
        b"GET /ping http/1.1",
        b"GET /ping FTP/1.1",
        b"GET /pi ng HTTP/1.1",
        b"GET /pi\x00ng HTTP/1.1",
        b"GET /ping HTTP/1",
        b"GET ping HTTP/1.1",
        b" GET /ping HTTP/1.1",
        b"GET",
        b"\x00\x01\x02",
        b"\xff" * 100,
    ],
)
def test_a_bad_request_line_is_refused(client: Client, host: Host, line: bytes) -> None:
    answer = client.ask(line + b"\r\nHost: a\r\n\r\n" + PING)

    assert answer.error["code"] == 400
    assert answer.fields["connection"] == "close"
    assert client.ended()
    assert not host.app.requests


def test_a_refusal_says_what_was_wrong(client: Client) -> None:
    client.send(b"BREW /pot HTTP/1.1\r\n\r\n")

    assert client.rest() == error(
        b"HTTP/1.1 400 Bad Request",
        "BadRequest",
        "This is not valid HTTP/1.1: Invalid method encountered.",
        close=True,
    )


@pytest.mark.parametrize("version", ["0.9", "1.2", "1.7", "2.0", "3.0", "9.9"])
def test_another_version_of_http_is_refused(client: Client, host: Host, version: str) -> None:
    client.send(get("/ping", version=version) + PING)

    assert client.rest() == error(
        b"HTTP/1.1 505 HTTP Version Not Supported",
        "HttpVersionNotSupported",
        f"HTTP/{version} is not spoken here, HTTP/1.1 is.",
        close=True,
    )
    assert not host.app.requests


@pytest.mark.parametrize(
    "opening", [b"GET /ping\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], ids=["0.9", "2"]
)
def test_the_opening_of_an_older_or_newer_protocol_is_refused(
    client: Client, opening: bytes
) -> None:
    assert client.ask(opening).error["code"] == 505
    assert client.ended()


def test_a_tls_handshake_is_refused(client: Client) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="a")
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()

    assert client.ask(outgoing.read()).error["code"] == 400
    assert client.ended()


def test_http_1_1_needs_a_host(client: Client) -> None:
    client.send(b"GET /ping HTTP/1.1\r\n\r\n" + PING)

    assert client.rest() == error(
        b"HTTP/1.1 400 Bad Request",
        "BadRequest",
        "An HTTP/1.1 request must have a Host field.",
        close=True,
    )


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_two_hosts_are_refused(client: Client, version: str) -> None:
    answer = client.ask(get("/ping", "hOST: a", version=version))

    assert answer.error["message"] == "The request has more than one Host field."
    assert client.ended()


def test_connect_is_refused_and_what_follows_is_not_interpreted(client: Client, host: Host) -> None:
    for target in ("example.com:443", "/ping"):
        tunnel = host.connect()
        tunnel.send(get(target, method="CONNECT") + PING)

        assert tunnel.rest() == error(
            b"HTTP/1.1 501 Not Implemented",
            "NotImplementedByServer",
            "CONNECT is not supported: this is no proxy.",
            close=True,
        )
    assert not host.app.requests
    assert client.ask(PING).raw == PONG


# An offer to change the protocol is ignored.


@pytest.mark.parametrize("offer", ["Upgrade, HTTP2-Settings", "upgrade", "keep-alive, Upgrade"])
@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
)
def test_an_upgrade_is_ignored_and_the_body_read(
    client: Client, host: Host, offer: str, framing: bytes
) -> None:
    head = get("/echo?q", f"Connection: {offer}", "Upgrade: h2c", "Accept: */*", method="POST")
    request = head[:-2] + framing
    for _ in range(2):
        client.send(request + PING)
        answer = echoed(client.answer().body)
        assert (answer["method"], answer["query"], answer["body"]) == ("POST", "q", "abc")
        assert answer["headers"]["accept"] == "*/*"
        assert client.answer().raw == PONG
    assert len(host.app.requests) == 4


def test_an_upgrade_without_a_body_is_ignored(client: Client) -> None:
    request = get("/ping", "Connection: Upgrade", "Upgrade: websocket")

    client.send(request + request, PING)
    assert [client.answer().raw for _ in range(3)] == [PONG] * 3


def test_an_upgrade_comes_byte_by_byte_too(client: Client) -> None:
    head = get("/echo", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 3", method="POST")

    client.send(*(bytes([byte]) for byte in head + b"abc" + PING))
    assert echoed(client.answer().body)["body"] == "abc"
    assert client.answer().raw == PONG


def test_an_upgrade_on_a_connection_that_closes_is_the_last_request(
    client: Client, host: Host
) -> None:
    client.send(get("/ping", "Connection: close, Upgrade", "Upgrade: h2c") + PING)

    assert client.answer().fields["connection"] == "close"
    assert client.ended()
    assert len(host.app.requests) == 1


# What a response looks like.


def test_a_response_has_its_fields_in_lower_case(client: Client, host: Host) -> None:
    fields = (("X-Amzn-SageMaker-Custom-Attributes", "a=b"), ("x-other", ""), ("X-Tab", "a\tb"))
    host.app.makers["/made"] = lambda: Response(201, b"body", "text/csv; charset=utf-8", fields)

    client.send(get("/made"))
    expected = (
        b"HTTP/1.1 201 Created\r\n"
        b"content-type: text/csv; charset=utf-8\r\n"
        b"x-amzn-sagemaker-custom-attributes: a=b\r\n"
        b"x-other: \r\n"
        b"x-tab: a\tb\r\n" + DATE + b"content-length: 4\r\n\r\nbody"
    )
    assert client.exactly(len(expected)) == expected


def test_head_has_the_length_and_no_body(client: Client, host: Host) -> None:
    host.app.makers["/made"] = lambda: Response(200, b"body", "text/plain")

    client.send(get("/made", method="HEAD") + PING)
    assert client.answer(head_only=True).raw == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + DATE + b"content-length: 4\r\n\r\n"
    )
    assert client.answer().raw == PONG


@pytest.mark.parametrize(("status", "phrase"), [(204, b"No Content"), (304, b"Not Modified")])
@pytest.mark.parametrize("body", [b"", b"must not be sent"])
def test_no_content_has_neither_length_nor_body(
    client: Client, host: Host, status: int, phrase: bytes, body: bytes
) -> None:
    host.app.makers["/made"] = lambda: Response(status, body)

    client.send(get("/made") + PING)
    assert client.answer().raw == b"HTTP/1.1 %d %b\r\n" % (status, phrase) + DATE + b"\r\n"
    assert client.answer().raw == PONG


def test_a_status_without_a_name_has_an_empty_phrase(client: Client, host: Host) -> None:
    host.app.makers["/made"] = lambda: Response(299)

    assert client.ask(get("/made")).raw == (
        b"HTTP/1.1 299 \r\n" + DATE + b"content-length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Response(200, headers=(("x", "a\r\nset-cookie: b"),)), "a line break"),
        (Response(200, headers=(("x", "a\nb"),)), "a line break"),
        (Response(200, headers=(("x", "\x00"),)), "a control character"),
        (Response(200, headers=(("x", "\u20ac"),)), "one outside Latin-1"),
        (Response(200, b"", "text/csv\r\nx: y"), "'content-type' has a line break"),
        (Response(200, headers=(("x y", "a"),)), "'x y'"),
        (Response(200, headers=(("x:", "a"),)), "'x:'"),
        (Response(200, headers=(("x\r\ny", "a"),)), "'x\\r\\ny'"),
        (Response(200, headers=(("", "a"),)), "''"),
        (Response(200, headers=(("Content-Length", "3"),)), "'Content-Length'"),
        (Response(200, headers=(("Transfer-Encoding", "chunked"),)), "'Transfer-Encoding'"),
        (Response(200, headers=(("Connection", "close"),)), "'Connection'"),
        (Response(200, headers=(("Date", "today"),)), "'Date'"),
        (Response(100), "status 100"),
        (Response(101), "status 101"),
        (Response(0), "status 0"),
        (Response(1000), "status 1000"),
    ],
)
def test_a_response_that_would_break_the_message_becomes_an_error(
    client: Client, host: Host, bad: Response, reason: str
) -> None:
    host.app.makers["/made"] = lambda: bad

    answer = client.ask(get("/made"))
    assert answer.status == 500
    assert answer.error["type"] == "PredictionError"
    assert reason in answer.error["message"]
    assert client.ask(PING).raw == PONG


def test_the_date_is_the_shared_one(client: Client, host: Host) -> None:
    host.call(lambda: setattr(host.shared, "date", b"date: later\r\n"))

    assert client.ask(PING).fields["date"] == "later"


def test_small_segments_are_not_delayed(client: Client, host: Host) -> None:
    sock = host.connection._transport.get_extra_info("socket")

    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
