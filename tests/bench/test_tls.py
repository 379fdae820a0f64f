"""Load over TLS: whom the generator trusts, what it shows, and what it says where that fails."""

import json
import ssl
import subprocess
from pathlib import Path

import pytest

from serving.bench import tls
from serving.cli import main
from serving.errors import ConfigurationError
from tests.bench.support import OK, answering, listening
from tests.certificates import Pair, make_pair

LARGE = b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + bytes(3_000_000)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "server")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "other")


def serverside(pair: Pair, clients: Pair | None = None) -> ssl.SSLContext:
    """What a server shows, and whose certificates its clients have to show."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.certificate)
    return context


def bench(url: str, *arguments: str) -> int:
    return main(["bench", url, "--warm-up", "0", "--timeout", "5", *arguments])


def test_a_server_whose_authority_is_given_is_asked(pair: Pair, tmp_path: Path) -> None:
    figures = tmp_path / "a.json"
    with listening(answering(OK), serverside(pair)) as port:
        url = f"https://127.0.0.1:{port}"
        stages = ("-s", "2 x 0.1s", "-s", "100/s x 0.2s")
        assert bench(url, "--ca", pair.certificate, *stages, "--json", str(figures)) == 0
    found = json.loads(figures.read_text())
    assert found["url"] == f"{url}/invocations"
    for stage in found["stages"]:
        assert stage["statuses"] == {"200": stage["requests"]}


def test_answers_of_many_records_are_read_to_their_end(pair: Pair, tmp_path: Path) -> None:
    figures = tmp_path / "a.json"
    with listening(answering(LARGE), serverside(pair)) as port:
        ca = ("--ca", pair.certificate)
        url = f"https://127.0.0.1:{port}"
        assert bench(url, *ca, "-s", "2 x 0.2s", "--json", str(figures)) == 0
    (stage,) = json.loads(figures.read_text())["stages"]
    assert stage["statuses"] == {"200": stage["requests"]}


def test_a_server_that_is_not_trusted_is_told_nothing_and_the_user_how_to_trust_it(
    pair: Pair, other: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(answering(OK), serverside(pair)) as port:
        for arguments in ((), ("--ca", other.certificate)):
            assert bench(f"https://127.0.0.1:{port}", *arguments, "-s", "1 x 0.1s") == 1
            said = capsys.readouterr().err
            assert "× untrusted certificate: self-signed certificate" in said
            assert "--ca FILE names the authorities to trust" in said


def test_a_certificate_for_another_name_is_not_trusted(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(answering(OK), serverside(pair)) as port:
        url, ca = f"https://localhost:{port}", ("--ca", pair.certificate)
        assert bench(url, *ca, "-s", "1 x 0.1s") == 1
    assert "untrusted certificate: Hostname mismatch" in capsys.readouterr().err


def test_a_server_without_tls_is_said(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    with listening(answering(OK)) as port:
        url, ca = f"https://127.0.0.1:{port}", ("--ca", pair.certificate)
        assert bench(url, *ca, "-s", "1 x 0.1s") == 1
    assert "× TLS: " in capsys.readouterr().err


def test_a_certificate_is_shown_to_a_server_that_asks_for_one(
    pair: Pair, other: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(answering(OK), serverside(pair, clients=other)) as port:
        arguments = (f"https://127.0.0.1:{port}", "--ca", pair.certificate, "-s", "1 x 0.1s")
        shown = ("--certificate", other.certificate, "--key", other.key)
        assert bench(*arguments, *shown) == 0
        assert bench(*arguments) == 1
    assert "TLS: tlsv13 alert certificate required" in capsys.readouterr().err


def test_files_of_tls_are_refused_where_the_address_has_none(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("http://127.0.0.1:1", "--ca", pair.certificate) == 2
    assert "need https://" in capsys.readouterr().err


def test_what_is_no_use_is_named(pair: Pair, other: Pair, tmp_path: Path) -> None:
    nonsense, encrypted, none = tmp_path / "nonsense", str(tmp_path / "key"), str(tmp_path / "none")
    nonsense.write_text("nonsense")
    command = ["openssl", "pkey", "-in", pair.key, "-aes256", "-passout", "pass:word"]
    subprocess.run([*command, "-out", encrypted], check=True, capture_output=True)
    for message, arguments in (
        ("none gives no authorities: it cannot be read: No such file", (none,)),
        ("nonsense gives no authorities: it is no such PEM file", (str(nonsense),)),
        ("none gives no certificate: it cannot be read", ("", none)),
        ("server.pem, .*other.key gives no certificate: ", ("", pair.certificate, other.key)),
        ("is encrypted; decrypt it", ("", pair.certificate, encrypted)),
        ("means nothing without its certificate", ("", "", pair.key)),
    ):
        with pytest.raises(ConfigurationError, match=message):
            tls.context(*arguments)
