"""The whole server: two workers in processes of their own, signals, and how it ends."""

import os
import queue
import re
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import xgboost

from serving.hosts.http import server as host
from tests.conftest import MakeSettings
from tests.contract.scripts import FRAGILE, Gate, script_model
from tests.hosts.http.support import PING, Client
from tests.support import PATIENCE, cli, environment

ROW = (
    b"POST /invocations HTTP/1.1\r\nHost: a\r\n"
    b"Content-Type: text/csv\r\nContent-Length: 9\r\n\r\n1,2,3,4,5"
)
CALL = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
SCRIPT = """
import logging
from pathlib import Path

def model_fn(model_dir):
    return Path(model_dir) / "gate"

def predict_fn(data, model):
    logging.warning("waiting at the gate")
    return model.read_text()

def output_fn(prediction, accept):
    return prediction
"""


class Server:
    """A server whose log is read as it is written."""

    def __init__(self, model: Path, workers: int, **variables: str) -> None:
        options = ("--bind", "127.0.0.1", "--port", "0", "--workers", str(workers))
        self.process = subprocess.Popen(
            cli("serve", model, *options),
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**variables),
            start_new_session=True,
        )
        self.log = ""
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._stack = ExitStack()
        self.port = int(self.wait_for(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
        self.workers = [self.ready() for _ in range(workers)]
        """Their process ids."""

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.put(line)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The next line of the log that has the pattern in it."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            self.log += line
            if match := re.search(pattern, line):
                return match

    def ready(self) -> int:
        """The next worker whose model is loaded."""
        return int(self.wait_for(r"(\d+) INFO serving: model .* ready")[1])

    def connect(self) -> Client:
        """A new connection."""
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return Client(self._stack.enter_context(sock))

    def worker_of(self, client: Client) -> int:
        """The process that has the other end of a connection that was answered."""
        port = client.sock.getsockname()[1]
        (pid,) = (pid for pid in self.workers if port in self._ports(pid))
        return pid

    def _ports(self, pid: int) -> set[int]:
        """The clients' ports of a process's connections."""
        links = []
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                links.append(str(entry.readlink()))
        sockets = {link[8:-1] for link in links if link.startswith("socket:[")}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return {int(row[2].rpartition(":")[2], 16) for row in rows if row[9] in sockets}

    def stop(self) -> int:
        """Stop it; its exit status. All of its log is read then."""
        self.process.terminate()
        return self.end()

    def end(self) -> int:
        """Wait until it has ended; its exit status."""
        status = self.process.wait(PATIENCE)
        self._reader.join()
        while not self._lines.empty():
            self.log += self._lines.get()
        return status

    def close(self) -> None:
        """Leave nothing behind."""
        self._stack.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.end()
        assert self.process.stderr
        self.process.stderr.close()


@pytest.fixture(scope="session")
def model(boosters: dict[str, xgboost.Booster], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("booster")
    boosters["squarederror"].save_model(folder / "model.json")
    return folder


@pytest.fixture
def gated(tmp_path: Path) -> Path:
    """A model that answers with what comes through its gate, a pipe, when that is closed."""
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(SCRIPT)
    os.mkfifo(folder / "gate")
    return folder


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts servers."""
    with ExitStack() as stack:

        def run(model: Path, workers: int = 2, **variables: str) -> Server:
            server = Server(model, workers, **variables)
            stack.callback(server.close)
            return server

        yield run


def test_what_was_begun_is_finished_before_the_server_ends(
    start: Callable[..., Server], gated: Path
) -> None:
    server = start(gated)
    idle, begun = server.connect(), server.connect()
    assert idle.ask(PING).status == 200
    begun.send(ROW)
    server.wait_for("waiting at the gate")

    server.process.terminate()
    for _ in range(2):
        server.wait_for("stopping")
    late = server.connect()
    refusal = late.ask(PING)
    assert (refusal.error["code"], refusal.error["type"]) == (503, "Draining")
    assert refusal.fields["connection"] == "close"
    assert late.ended()
    assert idle.ended()

    with (gated / "gate").open("w") as gate:
        gate.write("answered")
    answer = begun.answer()
    assert (answer.status, answer.body) == (200, b"answered")
    assert answer.fields["connection"] == "close"
    assert begun.ended()
    assert server.end() == 0
    assert "Traceback" not in server.log
    assert "unfinished" not in server.log


def test_a_request_that_is_not_finished_does_not_keep_the_server(
    start: Callable[..., Server], model: Path
) -> None:
    server = start(model, 1, SERVING_DRAIN_TIMEOUT="0.2")
    begun = server.connect()
    begun.send(ROW[:-1])
    assert server.connect().ask(PING).status == 200

    assert server.stop() == 0
    assert "stopping with 1 requests unfinished" in server.log
    assert begun.cut()


def test_a_signal_for_log_files_ends_no_worker(start: Callable[..., Server], model: Path) -> None:
    server = start(model)
    server.process.send_signal(signal.SIGUSR1)

    assert server.stop() == 0
    assert "SIGUSR1" not in server.log


def test_a_killed_worker_is_replaced_and_the_other_goes_on(
    start: Callable[..., Server], model: Path
) -> None:
    server = start(model)
    clients = [server.connect() for _ in range(4)]
    assert [client.ask(PING).status for client in clients] == [200] * 4
    of = {client: server.worker_of(client) for client in clients}
    victim, other = server.workers
    os.kill(victim, signal.SIGKILL)

    for client, worker in of.items():
        if worker == victim:
            assert client.cut()
        else:
            assert client.ask(ROW).status == 200
    assert server.connect().ask(PING).status == 200

    server.workers = [other, server.ready()]
    later = [server.connect() for _ in range(10)]
    assert [client.ask(ROW).status for client in later] == [200] * 10
    assert {server.worker_of(client) for client in later} == set(server.workers)


def test_all_that_workers_counted_stays_when_they_are_replaced(
    start: Callable[..., Server], model: Path
) -> None:
    server = start(model)
    clients = [server.connect() for _ in range(4)]
    assert [client.ask(ROW).status for client in clients] == [200] * 4
    server.process.send_signal(signal.SIGHUP)
    for _ in range(4):  # two end and two are ready, in whatever order
        server.wait_for(r"Worker exiting|serving: model .* ready")
    counted = server.connect().ask(PING.replace(b"ping", b"metrics")).body
    assert b'serving_requests_total{status="200"} 4.0' in counted


def test_at_sighup_a_worker_answers_until_its_successor_can(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    fragile = script_model(tmp_path / "fragile", FRAGILE)
    server = start(fragile, workers=1)
    (before,) = server.workers
    loading = Gate(fragile, "loading")
    server.process.send_signal(signal.SIGHUP)
    loading.reached()
    assert [server.connect().ask(CALL).body for _ in range(3)] == [b"%d" % before] * 3
    loading.open()
    after = server.ready()
    server.wait_for(rf"Worker exiting \(pid: {before}\)")
    assert server.connect().ask(CALL).body == b"%d" % after


def test_at_sighup_workers_stay_where_their_successors_cannot_load(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    fragile = script_model(tmp_path / "fragile", FRAGILE)
    server = start(fragile, workers=1)
    (before,) = server.workers
    code = fragile / "code" / "inference.py"
    code.write_text("raise ValueError('not this one')")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("not this one")
    assert [server.connect().ask(CALL).body for _ in range(3)] == [b"%d" % before] * 3
    code.write_text(FRAGILE)
    server.process.send_signal(signal.SIGHUP)
    after = server.ready()
    server.wait_for(rf"Worker exiting \(pid: {before}\)")
    assert server.connect().ask(CALL).body == b"%d" % after


def test_connections_spread_evenly_over_the_workers(
    start: Callable[..., Server], model: Path
) -> None:
    server = start(model)
    one_by_one = []
    for _ in range(40):
        one_by_one.append(server.connect())
        assert one_by_one[-1].ask(PING).status == 200
    burst = [server.connect() for _ in range(40)]
    assert [client.ask(PING).status for client in burst] == [200] * 40

    for clients in (one_by_one, burst):
        counts = Counter(server.worker_of(client) for client in clients)
        assert len(counts) == 2
        assert all(16 <= count <= 24 for count in counts.values()), counts


@pytest.mark.parametrize(("seconds", "silence"), [(0.5, 30), (60.5, 61)])
def test_a_silent_worker_is_killed_no_sooner_than_its_request_would_be_answered_504(
    make_settings: MakeSettings, tmp_path: Path, seconds: float, silence: int
) -> None:
    server = host.Server(make_settings(request_timeout=seconds), tmp_path)
    assert server.cfg.timeout == silence
