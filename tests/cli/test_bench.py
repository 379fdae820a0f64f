"""``serving bench``: from a server to a table, figures and a page."""

import json
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from serving.cli import main
from tests.bench.support import OK, answering, listening

QUICK = ("--warm-up", "0", "--timeout", "5")
REFUSED = b"HTTP/1.1 415 Unsupported Media Type\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture
def port() -> Iterator[int]:
    with listening(answering(OK)) as port:
        yield port


class Elements(HTMLParser):
    """Counts what a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]


def bench(port: int, *arguments: str) -> int:
    return main(["bench", f"http://127.0.0.1:{port}", *QUICK, *arguments])


def test_a_table_has_a_row_for_each_stage(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(port, "-s", "2 x 0.1s", "-s", "100..200/s x 0.2s") == 0
    _, _, *rows = capsys.readouterr().out.splitlines()
    names = [row.split("|")[1].strip() for row in rows]
    assert names == ["2 connections for 0.1 s", "100 to 200 requests/s for 0.2 s"]


def test_the_figures_are_written_as_json(port: int, tmp_path: Path) -> None:
    assert bench(port, "-s", "200/s x 0.2s", "--json", str(tmp_path / "a.json")) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    (stage,) = found["stages"]
    assert found["url"] == f"http://127.0.0.1:{port}/invocations"
    assert stage["statuses"] == {"200": stage["requests"]}
    assert stage["latency"].keys() == {"p50", "p90", "p99", "p99.9", "max"}
    assert sum(second["due"] for second in stage["timeline"]) == stage["requests"]
    assert stage["curve"][-1][0] == 100


def test_the_page_has_its_plots_and_needs_nothing_else(port: int, tmp_path: Path) -> None:
    stages = ("-s", "100/s x 0.1s", "-s", "200/s x 0.1s")
    assert bench(port, *stages, "--html", str(tmp_path / "a.html")) == 0
    elements = Elements()
    elements.feed((tmp_path / "a.html").read_text())
    assert elements.names.count("svg") == 4
    assert elements.links == []


def test_answers_that_are_no_predictions_are_counted_by_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with listening(answering(REFUSED)) as port:
        assert bench(port, "-s", "1 x 0.1s") == 1
    assert "× status 415" in capsys.readouterr().out


def test_a_server_that_does_not_answer_is_said_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with listening(answering(b"no\r\n\r\n")) as port:
        assert bench(port, "-s", "20/s x 0.1s", "-s", "1 x 1000s") == 1
    assert "no HTTP response" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-s", "fast"), "no stage"),
        (("--payload", "none.csv"), "none.csv cannot be read"),
        (("--content-type", "a/b"), "cannot be made up"),
        (("--models", ","), "names no model"),
    ],
)
def test_arguments_that_make_no_load_are_refused(
    port: int, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(port, *arguments) == 2
    assert said in capsys.readouterr().err


def test_models_reach_the_server_by_name(tmp_path: Path) -> None:
    seen: set[bytes] = set()

    def talk(client: socket.socket) -> None:
        while data := client.recv(65536):
            seen.add(data.partition(b"target-model: ")[2].partition(b"\r\n")[0])
            client.sendall(OK)

    (tmp_path / "names").write_text("a/b.tar.gz\n\nc\n")
    with listening(talk) as port:
        assert bench(port, "-s", "1 x 0.2s", "--models", f"@{tmp_path / 'names'}") == 0
    assert seen == {b"a/b.tar.gz", b"c"}


def test_requests_are_signed_with_the_credentials_of_awss_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    heads: list[bytes] = []

    def talk(client: socket.socket) -> None:
        while data := client.recv(65536):
            heads.append(data)
            client.sendall(OK)

    with listening(talk) as port:
        assert bench(port, "-s", "1 x 0.05s", "--sign", "eu-west-1", "--endpoint", "e") == 0
    assert heads[0].startswith(b"POST /endpoints/e/invocations HTTP/1.1\r\n")
    assert b"Credential=AKIDEXAMPLE/" in heads[0]
    assert b"/eu-west-1/sagemaker/aws4_request" in heads[0]
