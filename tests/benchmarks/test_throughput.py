import json
import socket
from pathlib import Path

import numpy as np
import pytest

from benchmarks.throughput import BenchmarkError, workload
from benchmarks.throughput.__main__ import main
from benchmarks.throughput.baseline import create_app
from benchmarks.throughput.generator import Load, parse
from benchmarks.throughput.report import Bar, Cell, Measurement, judge, summarise, table
from benchmarks.throughput.targets import PORTS, executable, free_port, free_ports
from benchmarks.throughput.verify import same_prediction

RESULT = {
    "requests": 1200,
    "duration_us": 2_000_000,
    "p50_us": 130,
    "p99_us": 4200,
    "connect": 1,
    "read": 2,
    "write": 3,
    "status": 4,
    "timeout": 5,
    "wrong": 6,
}


def cell(rate: float = 100.0, p50_ms: float = 1.0) -> Cell:
    return Cell(rate, rate, rate, p50_ms, p99_ms=2.0, errors=0)


def measured(number: int, target: str, connections: int, requests: int) -> Measurement:
    load = Load(requests, seconds=10.0, p50_ms=number, p99_ms=2.0 * number, errors=number)
    return Measurement(number, target, connections, load)


def test_the_last_line_of_wrk_is_the_result() -> None:
    output = f"Running 2s test @ http://127.0.0.1:1\n  1200 requests\n\n{json.dumps(RESULT)}\n"
    assert parse(output) == Load(requests=1200, seconds=2.0, p50_ms=0.13, p99_ms=4.2, errors=21)


@pytest.mark.parametrize("output", ["", "unable to connect", "[]", "7", '{"requests": 1}'])
def test_output_without_a_result_is_an_error(output: str) -> None:
    with pytest.raises(BenchmarkError, match="no result"):
        parse(output)


def test_a_cell_has_the_medians_of_the_rounds_and_all_their_errors() -> None:
    rounds = [measured(number, "serving", 16, 1000 * number) for number in (1, 2, 3)]
    assert summarise(rounds) == {(16, "serving"): Cell(200.0, 100.0, 300.0, 2.0, 4.0, 6)}


def test_the_table_is_ordered_by_connections_and_gives_ratios_to_baseline_and_nginx() -> None:
    cells = {
        (64, "serving"): Cell(30_000.4, 29_000.0, 31_000.0, 0.5, 1.25, 0),
        (64, "baseline"): cell(1500.0, p50_ms=40.0),
        (64, "nginx"): cell(60_000.0),
        (1, "serving"): cell(),
    }
    lines = table(cells).splitlines()
    assert lines[1] == "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert lines[2] == "| 1 | serving | 100 (100 to 100) | – | – | 1.000 | – | 2.000 | 0 |"
    assert lines[3] == (
        "| 64 | serving | 30,000 (29,000 to 31,000) | 20.00 | 0.50 | 0.500 | 0.01 | 1.250 | 0 |"
    )
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("bar", "server", "reached"),
    [
        (Bar(64, "requests/s", 10.0), cell(rate=1000.0), True),
        (Bar(64, "requests/s", 10.0), cell(rate=999.0), False),
        (Bar(1, "p50", 0.35), cell(p50_ms=0.35), True),
        (Bar(1, "p50", 0.35), cell(p50_ms=0.36), False),
    ],
)
def test_a_bar_is_reached_at_its_limit_and_missed_beyond(
    bar: Bar, server: Cell, reached: bool
) -> None:
    cells = {(bar.connections, "serving"): server, (bar.connections, "baseline"): cell()}
    verdict = judge(bar, cells)
    assert verdict is not None
    assert verdict[0] is reached
    assert verdict[1].startswith("reached" if reached else "MISSED")


def test_a_bar_without_both_figures_is_not_judged() -> None:
    assert judge(Bar(64, "requests/s", 10.0), {(64, "serving"): cell()}) is None


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ("0.2642095", True),
        ("0.2642095\n", True),
        ("0.26420950889587402", True),
        ("0.26420954", False),
        ("", False),
        ("<html>", False),
    ],
)
def test_an_answer_is_right_where_it_reads_back_as_the_same_float32(body: str, same: bool) -> None:
    assert same_prediction(body, np.float32(0.2642095)) is same


def test_the_baseline_answers_what_the_library_predicts(tmp_path: Path) -> None:
    work = workload.make(tmp_path)
    client = create_app(str(work.model / "model.ubj")).test_client()
    for row, expected in zip(work.rows, work.predictions, strict=True):
        answer = client.post("/invocations", data=row, content_type="text/csv")
        assert answer.status_code == 200
        assert same_prediction(answer.text, expected)


def test_the_workload_has_the_stated_shape(tmp_path: Path) -> None:
    work = workload.make(tmp_path)
    assert {row.count(b",") + 1 for row in work.rows} == {30}
    assert [path.name for path in work.model.iterdir()] == ["model.ubj"]


def test_ports_are_different_ones_that_java_servers_take_and_nobody_has() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        ports = free_ports(100)
        assert len({*ports}) == 100
        assert {*ports} <= {*PORTS} - {taken.getsockname()[1]}


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchmarkError, match=r"^wrk is missing: apt-get install wrk$"):
        executable("wrk")


def test_a_program_of_a_package_of_another_name_is_told_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchmarkError, match="java is missing: apt-get install openjdk-17-jre"):
        executable("java")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--check", "--connections", "1", "64"],
        ["--check", "--targets", "serving"],
        ["--rounds", "0"],
        ["--targets", "apache"],
    ],
)
def test_arguments_that_cannot_be_met_are_refused_before_anything_runs(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(arguments)
    assert refusal.value.code == 2
    assert "error:" in capsys.readouterr().err
