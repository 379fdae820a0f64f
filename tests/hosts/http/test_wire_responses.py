"""Responses as bytes: fields, bodies that may not be, dates."""

import socket

import pytest

from serving.values import Response
from tests.hosts.http.support import DATE, PING, PONG, Client, Host
from tests.hosts.http.wire import get


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
