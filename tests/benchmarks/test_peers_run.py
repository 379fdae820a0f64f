"""Whole comparisons of small servers; only wrk is invented, which need not be installed."""

import json
import signal
from pathlib import Path

import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers import environments, library, mixed, peer, rounds, workloads
from benchmarks.throughput import machine, workload
from benchmarks.throughput.generator import Load
from benchmarks.throughput.rounds import Plan

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"[0.5]")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128

Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
FILE = """
title = "{title}"
role = "{role}"
constant = {constant}
python = false
command = ["{{python}}", "{{here}}/server.py", "{{port}}"]
""" + "".join(
    f'[requests.{name}]\npath = "/"\nencoding = "{encoding}"\n'
    for name, encoding in (("xgboost", "csv"), ("mlp-json", "json"), ("mlp-binary", "npy"))
)
OPTIONS = ["--seconds", "1", "--rounds", "1", "--connections", "1", "64"]


@pytest.fixture(autouse=True)
def invented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No wrk, a small model, and folders of the test's own."""

    def load(*_: object, **__: object) -> Load:
        return Load(500, 1.0, 1.0, 2.0, 0)

    monkeypatch.setattr(rounds, "load", load)
    monkeypatch.setattr(library, "rates", lambda _models, _seconds: {"mlp": (111.0, 222.0)})
    monkeypatch.setattr(machine, "describe", lambda _programs: {"cores": "2"})
    monkeypatch.setattr(mixed, "CONNECTIONS", 2)
    monkeypatch.setattr(workloads, "ASKED_ROWS", 2)
    monkeypatch.setattr(workload, "TRAINING_ROWS", 500)
    monkeypatch.setattr(peer, "FOLDER", tmp_path / "peers")
    monkeypatch.setattr(environments, "BUILT", tmp_path / "built")
    monkeypatch.setattr(signal, "signal", lambda *_: None)


def make(folder: Path, name: str, *, role: str = "peer", constant: bool = True) -> Path:
    home = folder / "peers" / name
    home.mkdir(parents=True)
    told = FILE.format(title=name, role=role, constant=str(constant).lower())
    (home / "peer.toml").write_text(told)
    (home / "server.py").write_text(SERVER)
    return home


def test_a_server_is_started_asked_and_loaded_also_with_the_mix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "good")
    file, folder = tmp_path / "all.json", tmp_path / "out"
    arguments = [*OPTIONS, "--only", "good", "--json", str(file), "--output", str(folder)]
    assert command.main(arguments) == 0
    document = json.loads(file.read_text())
    loads = [(each["workload"], each["connections"]) for each in document["measurements"]]
    assert loads == [(name, each) for name in workloads.WORKLOADS for each in (1, 64)]
    assert all(each["memory"] > 1_000_000 for each in document["measurements"])
    (start,) = document["starts"]
    assert start["seconds"] > 0
    (load,) = document["mixed"]
    assert load["answered"] > 0
    assert document["failures"] == []
    assert (folder / "tables.md").read_text() == capsys.readouterr().out[:-1]
    assert len([*folder.glob("*.svg")]) == 9


def test_those_that_fail_are_shown_with_their_logs_and_the_others_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (make(tmp_path, "broken") / "server.py").write_text("import sys\nsys.exit('it is broken')")
    make(tmp_path, "liar", constant=False)
    make(tmp_path, "poor")
    poor = tmp_path / "peers" / "poor" / "peer.toml"
    poor.write_text(poor.read_text().replace("python = false", "python = true"))
    make(tmp_path, "good", role="ours")
    assert command.main([*OPTIONS, "--no-mixed", "--workloads", "xgboost"]) == 0
    text = capsys.readouterr().out
    assert "| good | 500 | 500 |" in text
    for name in ("broken", "liar", "poor"):
        assert f"| {name} | **failed** |" in text
    assert "broken ended with status 1" in text
    assert "it is broken" in text
    assert "| mlp | 111 | 222 |" in text
    assert "/ answered b'[0.5]'; the library's are" in text
    assert "requirements.txt is missing" in text
    assert (tmp_path / "built" / "logs" / "broken.log").read_text() == "it is broken\n"
    assert "not judged: xgboost, requests/s at 64: there is no figure of the best peer" in text


def test_too_many_errors_under_load_are_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "good")
    monkeypatch.setattr(rounds, "load", lambda *_, **__: Load(100, 1.0, 1.0, 2.0, 2))
    assert command.main([*OPTIONS, "--only", "good", "--no-mixed"]) == 0
    assert "2 of 100 requests of 1 connections failed" in capsys.readouterr().out


def test_a_peer_that_serves_one_model_is_not_asked_the_mix(tmp_path: Path) -> None:
    home = make(tmp_path, "good")
    file = home / "peer.toml"
    file.write_text(file.read_text().replace('"{port}"]', '"{port}", "{model}"]'))
    assert mixed.planned([peer.read("good")], Plan(1, [1], 1, 1)) == 0.0


def test_other_configurations_are_measured_when_tuning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make(tmp_path, "good")
    with (home / "peer.toml").open("a") as file:
        file.write('[[tried]]\nname = "more"\nprocesses = 2\n')
    assert command.main([*OPTIONS, "--only", "good", "--workloads", "xgboost", "--tune"]) == 0
    assert "best first: good 500; good: more 500" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["--check", "--tune"], ["--check", "--no-mixed"], ["--rounds", "0"], ["--workloads", "x"]],
)
def test_arguments_that_make_no_comparison_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        command.main(arguments)
    assert refusal.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_peer_that_is_not_there_ends_the_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "apache"]) == 1
    assert "There is no peer apache" in capsys.readouterr().err
