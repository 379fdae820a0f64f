"""TLS: clients that speak it, clients that do not, and settings that do not fit."""

import json
import logging
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

import pytest
import xgboost

from serving import renewal
from serving.errors import SettingError
from serving.hosts.http import listener as listener_module
from serving.hosts.http.board import Board, Phase
from serving.hosts.http.connection import Connection
from serving.hosts.http.listener import Listener
from serving.hosts.http.server import Server
from serving.values import Response
from tests.certificates import Pair, make_pair
from tests.conftest import MakeSettings
from tests.hosts.http.support import HOLD, PATIENCE, Host
from tests.support import Process, cli, environment, launched

SLOT = 0


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "server")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "other")


class Port:
    """A port on which a host speaks TLS."""

    def __init__(self, host: Host, context: Callable[[], ssl.SSLContext]) -> None:
        self._host = host
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.number: int = self._sock.getsockname()[1]
        board = Board(1)
        board.set_phase(SLOT, Phase.READY)
        self.listener = host.call(
            lambda: Listener(
                [self._sock], lambda: Connection(host.shared), host.loop, board, SLOT, context
            )
        )

    def https(self, context: ssl.SSLContext) -> HTTPSConnection:
        """A client's connection, not opened yet."""
        return HTTPSConnection("127.0.0.1", self.number, timeout=PATIENCE, context=context)

    def tcp(self) -> socket.socket:
        """A connection without TLS."""
        return socket.create_connection(("127.0.0.1", self.number), PATIENCE)

    def close(self) -> None:
        self._host.run(self.listener.close())
        self._sock.close()


@contextmanager
def speaking(host: Host, make_settings: MakeSettings, **settings: str) -> Iterator[Port]:
    """A port with the context that a server with these settings has."""
    context = Server(make_settings(**settings), Path()).tls
    assert context is not None
    with closing(Port(host, context)) as port:
        yield port


@pytest.fixture
def port(host: Host, pair: Pair, make_settings: MakeSettings) -> Iterator[Port]:
    """A port that shows its certificate and asks clients for none."""
    certificate, key = pair
    with speaking(host, make_settings, tls_certificate=certificate, tls_key=key) as port:
        yield port


def ping(connection: HTTPConnection) -> int:
    """The status of a ping, after which the connection is as it was."""
    connection.request("GET", "/ping")
    response = connection.getresponse()
    response.read()
    return response.status


def test_a_connection_answers_one_request_after_another(port: Port, pair: Pair) -> None:
    with closing(port.https(pair.client())) as client:
        assert ping(client) == 200
        sock = client.sock
        for size in (0, 1, 4096):
            client.request("POST", "/echo", bytes(size))
            body = json.loads(client.getresponse().read())[4]
            assert body == "\0" * size
        assert client.sock is sock
        assert isinstance(sock, ssl.SSLSocket)
        assert sock.version() in ("TLSv1.2", "TLSv1.3")


def test_a_large_answer_comes_whole(host: Host, port: Port, pair: Pair) -> None:
    large = bytes(range(256)) * 40_000
    host.app.makers["/large"] = lambda: Response(200, large)
    with closing(port.https(pair.client())) as client:
        client.request("GET", "/large")
        assert client.getresponse().read() == large


def test_a_streamed_answer_comes_whole(host: Host, port: Port, pair: Pair) -> None:
    source = host.source("/stream")
    source.put(b"a" * 100_000, b"b" * 100_000, None)
    with closing(port.https(pair.client())) as client:
        client.request("GET", "/stream")
        assert client.getresponse().read() == b"a" * 100_000 + b"b" * 100_000


def test_a_client_that_does_not_trust_the_certificate_leaves(
    port: Port, pair: Pair, other: Pair
) -> None:
    with closing(port.https(other.client())) as client, pytest.raises(ssl.SSLError):
        ping(client)
    with closing(port.https(pair.client())) as client:
        assert ping(client) == 200


@pytest.mark.parametrize("sent", [b"", b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01"])
def test_a_client_without_tls_gets_nothing_and_is_no_news(
    port: Port, pair: Pair, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with port.tcp() as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert b"HTTP" not in sock.recv(1024)
    with closing(port.https(pair.client())) as client:
        assert ping(client) == 200
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_a_client_that_does_not_finish_the_handshake_is_cut(
    host: Host, pair: Pair, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "HANDSHAKE_SECONDS", 0.05)
    certificate, key = pair
    with (
        speaking(host, make_settings, tls_certificate=certificate, tls_key=key) as port,
        port.tcp() as sock,
    ):
        assert sock.recv(1) == b""


def test_a_handshake_that_lasts_does_not_keep_the_server(
    host: Host, port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "PARTING_SECONDS", 0.01)
    with port.tcp() as silent, port.tcp() as sock:
        host.until(lambda: len(port.listener._tasks) == 2)
        host.run(port.listener.close())
        assert [silent.recv(1), sock.recv(1)] == [b"", b""]


def test_clients_may_have_to_show_a_certificate(
    host: Host, pair: Pair, other: Pair, make_settings: MakeSettings
) -> None:
    with speaking(
        host,
        make_settings,
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_client_ca=pair.certificate,
    ) as port:
        with closing(port.https(pair.client(shows=True))) as client:
            assert ping(client) == 200
        stranger = pair.client()
        stranger.load_cert_chain(*other)
        for context in (pair.client(), stranger):
            with (
                closing(port.https(context)) as client,
                pytest.raises((OSError, HTTPException)),
            ):
                ping(client)


def test_key_and_certificate_may_be_in_one_file(
    host: Host, pair: Pair, make_settings: MakeSettings, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(part).read_text() for part in pair))
    with (
        speaking(host, make_settings, tls_certificate=str(both)) as port,
        closing(port.https(pair.client())) as client,
    ):
        assert ping(client) == 200


def test_a_renewed_certificate_is_shown_to_clients_that_come_after(
    host: Host,
    pair: Pair,
    other: Pair,
    make_settings: MakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renewal, "LOOK_SECONDS", 0.0)
    used = Pair(str(tmp_path / "used.pem"), str(tmp_path / "used.key"))

    def use(new: Pair) -> None:
        for source, place in zip(new, used, strict=True):
            shutil.copyfile(source, place)

    use(pair)
    with (
        speaking(host, make_settings, tls_certificate=used.certificate, tls_key=used.key) as port,
        closing(port.https(pair.client())) as before,
        closing(port.https(other.client())) as after,
        closing(port.https(other.client())) as last,
    ):
        assert ping(before) == 200
        use(other)
        assert ping(after) == 200
        assert ping(before) == 200
        Path(used.certificate).write_text("nonsense")
        assert ping(last) == 200


def test_without_a_certificate_there_is_no_tls(make_settings: MakeSettings) -> None:
    assert Server(make_settings(), Path()).tls is None


@pytest.fixture
def encrypted(pair: Pair, tmp_path: Path) -> str:
    """The server's key, encrypted."""
    path = str(tmp_path / "encrypted.key")
    command = ["openssl", "pkey", "-in", pair.key, "-aes256", "-passout", "pass:word", "-out", path]
    subprocess.run(command, check=True, capture_output=True)
    return path


def test_what_does_not_fit_is_named(
    pair: Pair, other: Pair, encrypted: str, make_settings: MakeSettings, tmp_path: Path
) -> None:
    certificate, key = pair
    none, nonsense = str(tmp_path / "none"), tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    for message, settings in (
        ("SERVING_TLS_CERTIFICATE='.*none' cannot be read: No such", {"tls_certificate": none}),
        ("SERVING_TLS_KEY='.*none' cannot", {"tls_certificate": certificate, "tls_key": none}),
        (
            "SERVING_TLS_CLIENT_CA='.*none' cannot",
            {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": none},
        ),
        ("SERVING_TLS_KEY='.*' means nothing without", {"tls_key": key}),
        ("SERVING_TLS_CLIENT_CA='.*' means nothing without", {"tls_client_ca": certificate}),
        (
            "SERVING_TLS_KEY='.*' has an encrypted key",
            {"tls_certificate": certificate, "tls_key": encrypted},
        ),
        (
            "the certificate '.*server.pem' and the key in '.*other.key'",
            {"tls_certificate": certificate, "tls_key": other.key},
        ),
        ("TLS cannot be set up", {"tls_certificate": certificate}),
        ("TLS cannot be set up", {"tls_certificate": str(nonsense)}),
        (
            "TLS cannot be set up",
            {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": str(nonsense)},
        ),
    ):
        with pytest.raises(SettingError, match=message):
            Server(make_settings(**settings), Path())


def served(server: Process, context: ssl.SSLContext) -> None:
    """Wait until a server is ready for clients with this context."""
    limit = time.monotonic() + PATIENCE
    seen: object = None
    while time.monotonic() < limit:
        client = HTTPSConnection("127.0.0.1", server.port, timeout=PATIENCE, context=context)
        with closing(client):
            try:
                seen = ping(client)
            except (OSError, HTTPException) as error:
                seen = error
        if seen == 200:
            return
        assert server.ended(pause=0.03) is None, server.log
    raise AssertionError(f"The server never came to it; at last {seen!r}:\n{server.log}")


def test_a_server_speaks_tls(
    boosters: dict[str, xgboost.Booster], pair: Pair, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    boosters["squarederror"].save_model(model / "model.json")
    variables = {
        "SERVING_TLS_CERTIFICATE": pair.certificate,
        "SERVING_TLS_KEY": pair.key,
        "SERVING_TLS_CLIENT_CA": pair.certificate,
    }
    with launched(model, tmp_path, **variables) as server:
        served(server, pair.client(shows=True))
        assert f"https://127.0.0.1:{server.port}" in server.log
        health = cli("ping", "--port", str(server.port))
        subprocess.run(health, env=environment(**variables), check=True, timeout=PATIENCE)
        assert server.stop() == 0, server.log
    assert "Traceback" not in server.log


def test_a_certificate_that_is_missing_ends_start_up(tmp_path: Path) -> None:
    with launched(tmp_path, tmp_path, SERVING_TLS_KEY=str(tmp_path / "none")) as server:
        assert server.wait() == 2
    assert "means nothing without SERVING_TLS_CERTIFICATE" in server.log.splitlines()[-1]


def test_a_connection_ends_after_its_last_answer(port: Port, pair: Pair) -> None:
    for request, status in (
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"200"),
        (b"nonsense\r\n\r\n", b"400"),
    ):
        with pair.client().wrap_socket(port.tcp(), server_hostname="127.0.0.1") as sock:
            sock.sendall(request)
            answer = b"".join(iter(lambda: sock.recv(1024), b""))
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert b"connection: close" in answer


def test_a_client_that_says_goodbye_while_it_waits_is_no_news(
    host: Host, port: Port, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    with pair.client().wrap_socket(port.tcp(), server_hostname="127.0.0.1") as sock:
        sock.sendall(HOLD)
        held = host.held()
        sock.unwrap().close()
    host.until(lambda: held.reply.gone)
    assert caplog.records == []


def test_an_idle_connection_does_not_keep_a_server_that_stops(
    host: Host, port: Port, pair: Pair
) -> None:
    with closing(port.https(pair.client())) as client:
        assert ping(client) == 200
        connection = host.connection
        host.call(lambda: connection.drain(time.monotonic() + 1))
        host.until(lambda: not host.shared.connections)


def test_a_client_that_is_slow_gets_the_whole_of_the_last_answer(
    host: Host, port: Port, pair: Pair
) -> None:
    large = bytes(range(256)) * 40_000
    host.app.makers["/large"] = lambda: Response(200, large)
    with closing(port.https(pair.client())) as client:
        client.request("GET", "/large", headers={"Connection": "close"})
        host.until(lambda: any(one._ended for one in host.shared.connections))
        host.sweep(10.0)
        assert client.getresponse().read() == large
