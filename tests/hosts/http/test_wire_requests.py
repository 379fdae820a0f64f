"""Requests as bytes: targets, fields, methods, versions, and what is refused."""

import ssl

import pytest

from tests.hosts.http.support import PING, PONG, Client, Host
from tests.hosts.http.wire import echoed, error, get


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
