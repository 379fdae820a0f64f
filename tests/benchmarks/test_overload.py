"""The overload benchmark's own arithmetic, and its load generator against a small server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import pytest

from benchmarks.overload import scenarios
from benchmarks.overload.__main__ import main
from benchmarks.overload.generator import Answer, Client, arrivals
from benchmarks.overload.report import Phase, Result, Round, missed, percentile, summarise, table

UNLOADED = Phase(30.0, 30.0, 5.0, 10.0, 0, 0.0, 0)
OVERLOAD = Phase(200.0, 90.0, 20.0, 30.0, 110, 50.0, 0)
ROUND = Round(100.0, UNLOADED, OVERLOAD)


@pytest.fixture
def port() -> Iterator[int]:
    """A server that answers pings with 200 and all else, by turns, with 200 and 503."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client,), daemon=True).start()


def _serve(client: socket.socket) -> None:
    asked = 0
    with client:
        while data := client.recv(65536):
            asked += b"/ping" not in data
            status = b"503 Service Unavailable" if asked and not asked % 2 else b"200 OK"
            client.sendall(b"HTTP/1.1 %b\r\ncontent-length: 2\r\n\r\nok" % status)


def test_a_closed_loop_has_one_request_under_way_on_each_connection(port: int) -> None:
    with Client(port, scenarios.request(b"1"), 2) as client:
        answers = client.closed_loop(0.05)
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {200, 503}
    assert abs(statuses.count(200) - statuses.count(503)) <= 2


def test_an_open_loop_sends_what_was_due_whether_or_not_it_is_answered(port: int) -> None:
    due = list(takewhile(lambda at: at < 0.1, arrivals(500.0, 3)))
    with Client(port, scenarios.request(b"1"), 4) as client:
        answers = client.open_loop(500.0, 0.1, 3)
    assert sorted(answer.due for answer in answers) == due
    assert all(answer.status and answer.seconds > 0 for answer in answers)


def test_time_runs_while_a_request_finds_no_connection(port: int) -> None:
    with Client(port, scenarios.request(b"1"), 1) as client:
        answers = client.open_loop(10_000.0, 0.05, 3)
    ends = [answer.due + answer.seconds for answer in answers]
    assert ends == sorted(ends)  # one after another, though many were due at once
    assert len(ends) == sum(1 for _ in takewhile(lambda at: at < 0.05, arrivals(10_000.0, 3)))


def test_arrivals_have_the_rate_that_was_asked_for() -> None:
    times = [at for at, _ in zip(arrivals(100.0, 1), range(10_000), strict=False)]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize(
    ("values", "share", "value"),
    [([], 0.5, 0.0), ([7.0], 0.99, 7.0), ([3, 1, 2], 0.5, 2), (list(range(1, 101)), 0.99, 99)],
)
def test_a_percentile_is_a_value_that_was_seen(
    values: list[float], share: float, value: float
) -> None:
    assert percentile(values, share) == value


def test_what_was_due_outside_the_time_does_not_count_but_silence_always_does() -> None:
    answers = [
        Answer(0.5, 9.0, 200),
        Answer(1.0, 0.010, 200),
        Answer(1.5, 0.020, 200),
        Answer(2.0, 0.002, 503),
        Answer(2.5, 0.1, 500),
        Answer(0.0, 0.0, 0),
        Answer(3.0, 9.0, 200),
    ]
    phase = summarise(answers, 1.0, 3.0)
    assert phase == Phase(2.5, 1.0, 10.0, 20.0, 1, 2.0, 2)


def test_the_table_gives_shares_and_ratios() -> None:
    line = table([Result("fake", [ROUND])]).splitlines()[-1]
    assert line == "| fake | 100 | 10.0 | 200 | 90 | 0.90 | 20.0 | 30.0 | 3.00 | 110 | 50.0 | 0 |"


def test_several_rounds_give_medians_and_the_range_of_what_has_a_bar() -> None:
    faster = Round(100.0, UNLOADED, OVERLOAD._replace(answered=98.0, p99_ms=20.0))
    slower = Round(100.0, UNLOADED, OVERLOAD._replace(answered=50.0, p99_ms=50.0))
    result = Result("fake", [faster, ROUND, slower])
    line = table([result]).splitlines()[-1]
    assert "| 0.90 (0.50 to 0.98) |" in line
    assert "| 3.00 (2.00 to 5.00) |" in line
    assert missed(result) == []


def test_bars_are_reached_at_their_limits() -> None:
    assert missed(Result("fake", [ROUND])) == []


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        (OVERLOAD._replace(answered=89.0), "89% of the capacity"),
        (OVERLOAD._replace(p99_ms=31.0), "3.10 times the unloaded"),
        (OVERLOAD._replace(refused_p99_ms=60.0), "refusals take 60 ms"),
        (OVERLOAD._replace(errors=2), "2 requests failed"),
    ],
)
def test_a_bar_that_is_missed_is_named(worse: Phase, said: str) -> None:
    (line,) = missed(Result("fake", [Round(100.0, UNLOADED, worse)]))
    assert line.startswith("MISSED: fake: ")
    assert said in line


@pytest.mark.parametrize("scenario", scenarios.SCENARIOS[:2], ids=lambda one: one.name)
def test_the_scripts_are_written_where_the_server_looks_for_them(
    scenario: scenarios.Scenario, tmp_path: Path
) -> None:
    scenario.make(tmp_path)
    compile((tmp_path / "code" / "inference.py").read_text(), "inference.py", "exec")


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--models", "none"]])
def test_arguments_that_mean_nothing_are_refused_before_anything_runs(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(arguments)
    assert refusal.value.code == 2
    assert "error:" in capsys.readouterr().err
