"""Requests that the application never sees: they are counted, and in the access log."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.hosts.http.support import LIMITS, PING, Client, Host

HEAD = b"POST /echo?a=b HTTP/1.1\r\nHost: a\r\nX-Request-Id: order-7\r\n"
UNREADABLE = b"\x16\x03\x01\r\n\r\n"

STANDARD = {*vars(logging.makeLogRecord({})), "asctime", "message"}


Log = Callable[[], dict[str, Any]]


@pytest.fixture
def line(host: Host, caplog: pytest.LogCaptureFixture) -> Log:
    """The fields of the access log's only line; the log is on."""
    host.shared.access_log = True
    caplog.set_level(logging.INFO, "serving.access")

    def read() -> dict[str, Any]:
        host.call(lambda: None)  # the line is written after the answer
        (record,) = caplog.records
        assert record.name == "serving.access"
        fields = {name: value for name, value in vars(record).items() if name not in STANDARD}
        assert fields.pop("seconds") >= 0
        return fields

    return read


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (UNREADABLE, 400),
        (HEAD + b"Content-Length: x\r\n\r\n", 400),
        (HEAD + b"Content-Length: %d\r\n\r\n" % (LIMITS.max_body + 1), 413),
        (HEAD + b"X: " + b"x" * LIMITS.max_head + b"\r\n\r\n", 431),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (HEAD.replace(b"1.1", b"2.0") + b"\r\n", 505),
    ],
)
def test_a_refusal_is_counted_by_its_status(
    host: Host, client: Client, sent: bytes, status: int
) -> None:
    assert client.ask(sent).status == status
    assert host.app.metrics.requests == {status: 1}
    assert sum(host.app.metrics.latency.counts) == 0


def test_what_the_application_answers_is_not_counted_here(host: Host, client: Client) -> None:
    assert client.ask(PING).status == 200
    assert not host.app.metrics.requests


def test_a_refusal_is_logged_with_what_came_of_the_request(client: Client, line: Log) -> None:
    answer = client.ask(HEAD + b"Content-Length: %d\r\n\r\n" % (LIMITS.max_body + 1))
    assert line() == {
        "request_id": "order-7",
        "method": "POST",
        "path": "/echo",
        "status": 413,
        "bytes_in": 0,
        "bytes_out": len(answer.body),
    }


def test_a_slow_one_is_logged_with_the_bytes_that_came(
    host: Host, client: Client, line: Log
) -> None:
    client.send(HEAD + b"Content-Length: 10\r\n\r\n1234567")
    receiver = host.connection._receiver
    host.until(lambda: receiver._body == b"1234567")
    host.sweep(LIMITS.receive_timeout + 1)
    assert client.answer().status == 408
    fields = line()
    assert (fields["status"], fields["path"], fields["bytes_in"]) == (408, "/echo", 7)


def test_of_what_cannot_be_read_there_is_no_method_and_no_path(client: Client, line: Log) -> None:
    assert client.ask(PING).status == 200
    assert client.ask(UNREADABLE).status == 400
    assert line().keys() == {"request_id", "status", "bytes_in", "bytes_out"}


def test_a_proxys_request_is_logged_with_its_method(client: Client, line: Log) -> None:
    assert client.ask(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").status == 501
    fields = line()
    assert (fields["method"], fields["status"]) == ("CONNECT", 501)


def test_nothing_is_logged_unless_it_is_asked_for(
    host: Host, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert client.ask(UNREADABLE).status == 400
    host.call(lambda: None)
    assert caplog.records == []
