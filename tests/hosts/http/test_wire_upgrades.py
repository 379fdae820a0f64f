"""An offer to change the protocol is ignored."""

import pytest

from tests.hosts.http.support import PING, PONG, Client, Host
from tests.hosts.http.wire import echoed, get


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
