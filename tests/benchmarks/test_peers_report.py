"""Invented measurements, and what is made of them."""

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.peers import bars, charts, peer, report
from benchmarks.peers.bars import BARS, Bar
from benchmarks.peers.peer import Peer
from benchmarks.peers.results import Failure, Measurement, Mixed, Results, Start
from benchmarks.peers.summary import Summary, summarise
from benchmarks.peers.workloads import WORKLOADS
from benchmarks.throughput.generator import Load

MIB = 1024 * 1024
FILE = 'title = "{}"\nrole = "{}"\nprocesses = {}\ncommand = ["x"]\n' + "".join(
    f'[requests.{name}]\npath = "/"\nencoding = "csv"\n' for name in WORKLOADS
)


def made(name: str, role: str = "peer", processes: int = 2) -> Peer:
    return peer.parse(Path("/peers") / name, FILE.format(name, role, processes))


OURS, FLASK, ONE = made("ours", "ours"), made("flask_gthread"), made("one", processes=1)
NGINX = made("nginx", "limit")
PEERS = [OURS, FLASK, ONE, NGINX]


def measured(
    name: str, workload: str, connections: int, rate: int, p50: float, mib: int, number: int = 1
) -> Measurement:
    load = Load(rate * 4, 4.0, p50, 3 * p50, errors=number)
    return Measurement(number, name, workload, connections, load, mib * MIB, 0.1)


def results(ours: int = 10_000, p50: float = 0.2, mib: int = 100, start: float = 1.0) -> Results:
    found = Results()
    figures = (
        ("ours", ours, p50, mib, start),
        ("flask_gthread", 1000, 1.0, 120, 0.5),
        ("one", 900, 1.2, 50, 2.0),
        ("nginx", 20_000, 0.15, 5, 0.1),
    )
    for name, rate, median, size, seconds in figures:
        for workload in WORKLOADS:
            for connections in (1, 16, 64):
                one = measured(name, workload, connections, rate, median, size)
                found.measurements.append(one)
        found.starts.append(Start(1, name, tuple(WORKLOADS), seconds))
    found.capacities.update(ours=9000.0, flask_gthread=1000.0, one=800.0)
    for name, p99 in (("ours", 5.0), ("flask_gthread", 50.0), ("one", 60.0)):
        found.mixed.append(Mixed(1, name, 700.0, 699.0, 1.0, p99, 0))
    return found


def summary(found: Results) -> Summary:
    return summarise(found, PEERS, list(WORKLOADS))


def verdict(found: Results, wanted: Bar) -> bars.Verdict:
    (one,) = [each for each in bars.judge(summary(found)) if each.bar == wanted]
    return one


def bar(figure: str, workload: str, connections: int, other: str = bars.PEERS) -> Bar:
    (one,) = [
        each for each in BARS if each[:3] == (figure, workload, connections) and each.other == other
    ]
    return one


def test_figures_are_medians_over_the_rounds_and_errors_are_added() -> None:
    found = Results(
        [
            measured("ours", "xgboost", 1, rate, 0.1 * rate, mib=rate, number=number)
            for number, rate in enumerate((100, 300, 200), start=1)
        ]
    )
    row = summarise(found, [OURS], ["xgboost"]).rows["xgboost"][0]
    cell = row.cells[1]
    assert (cell.rate, cell.memory_mib, cell.errors) == (200.0, 200.0, 6)
    assert cell.p99_ms == pytest.approx(60.0)


def test_all_bars_are_reached_by_figures_that_are_good_enough() -> None:
    verdicts = bars.judge(summary(results()))
    assert [each.sentence for each in verdicts if each.reached is not True] == []
    assert len(verdicts) == len(BARS)


@pytest.mark.parametrize(
    ("wanted", "found", "reached"),
    [
        (bar("requests/s", "xgboost", 16), results(ours=8000), True),
        (bar("requests/s", "xgboost", 16), results(ours=7999), False),
        (bar("requests/s", "xgboost", 64), results(ours=4000), True),
        (bar("requests/s", "xgboost", 64), results(ours=3999), False),
        (bar("p50", "xgboost", 1), results(p50=0.25), True),
        (bar("p50", "xgboost", 1), results(p50=0.26), False),
        (bar("requests/s", "mlp-json", 64), results(ours=1999), False),
        (bar("requests/s", "mlp-binary", 16), results(ours=2000), True),
        (bar("requests/s", "xgboost", 16, bars.NGINX), results(ours=7999), False),
        (bar("p50", "xgboost", 1, bars.NGINX), results(p50=0.25), True),
        (bar("p50", "xgboost", 1, bars.NGINX), results(p50=0.26), False),
        # The bare Flask one starts faster, which it may; the other does not.
        (bar("start", "xgboost", 0, bars.NOT_FLASK), results(start=1.9), True),
        (bar("start", "xgboost", 0, bars.NOT_FLASK), results(start=2.1), False),
        # The one of one process takes 50 MiB, which it may.
        (bar("memory", "xgboost", 64, bars.TWO_PROCESSES), results(mib=119), True),
        (bar("memory", "xgboost", 64, bars.TWO_PROCESSES), results(mib=121), False),
    ],
)
def test_a_bar_is_judged_by_its_limit(wanted: Bar, found: Results, reached: bool) -> None:
    assert verdict(found, wanted).reached is reached


def test_binary_must_not_be_slower_than_json() -> None:
    found = results()
    found.measurements[:] = [
        each._replace(load=each.load._replace(requests=39_999))
        if (each.peer, each.workload) == ("ours", "mlp-binary")
        else each
        for each in found.measurements
    ]
    assert verdict(found, bar("requests/s", "mlp-binary", 64, bars.JSON)).reached is False


def test_connections_must_spread_over_the_workers() -> None:
    wanted = bar("imbalance", "xgboost", 64, bars.EVEN)
    found = results()
    assert verdict(found, wanted).reached is True
    found.measurements[:] = [each._replace(imbalance=0.21) for each in found.measurements]
    assert verdict(found, wanted).reached is False


def test_the_strongest_of_our_configurations_is_judged_by_all_its_figures() -> None:
    compiled, found = made("compiled", "ours"), results(ours=7999)
    found.measurements += [
        measured("compiled", "xgboost", connections, 8000, 0.2, mib=121)
        for connections in (1, 16, 64)
    ]
    verdicts = bars.judge(summarise(found, [OURS, compiled, *PEERS[1:]], list(WORKLOADS)))
    sentences = {each.bar: each for each in verdicts}
    fast = sentences[bar("requests/s", "xgboost", 16)]
    assert fast.reached
    assert "(compiled)" in fast.sentence
    # The other one, which is slower, would have stayed below the limit.
    assert sentences[bar("memory", "xgboost", 64, bars.TWO_PROCESSES)].reached is False


def test_a_missed_aim_is_said_but_is_no_failure() -> None:
    one = verdict(results(ours=7999), bar("requests/s", "xgboost", 64, bars.NGINX))
    assert one.sentence.startswith("AIM MISSED: xgboost, requests/s at 64: 7,999/s (ours) is 0.40")
    assert not bars.fails(one)


def test_the_mixed_load_is_judged_against_those_that_could_answer_it() -> None:
    wanted = bar("p99", "mixed", 0)
    found = results()
    found.mixed[1] = found.mixed[1]._replace(p99_ms=1.0)
    assert verdict(found, wanted).reached is False
    found.mixed[1] = found.mixed[1]._replace(answered=600.0, errors=100)
    assert verdict(found, wanted).reached is True


def test_a_peer_that_failed_sets_no_bar_and_the_rest_is_judged() -> None:
    found = results(ours=7999)
    found.failures.append(Failure("flask_gthread", ("xgboost",), "it fell", "/log"))
    one = verdict(found, bar("requests/s", "xgboost", 16))
    assert one.reached is True
    assert "(one)" in one.sentence


def test_without_figures_of_ours_a_bar_is_missed_and_without_others_not_judged() -> None:
    found = results()
    found.failures.append(Failure("ours", ("xgboost",), "it fell", "/log"))
    one = verdict(found, bar("p50", "xgboost", 1))
    assert bars.fails(one)
    found = results()
    found.failures += [Failure(name, ("xgboost",), "", "") for name in ("flask_gthread", "one")]
    assert verdict(found, bar("p50", "xgboost", 1)).reached is None


def test_the_tables_show_figures_and_what_failed_with_its_log() -> None:
    found = results()
    found.library["mlp"] = (10_000.0, 19_000.0)
    found.failures.append(Failure("one", ("mlp-json", "mixed"), "it\nfell", "/logs/one.log"))
    found.failures.append(Failure("flask_gthread", ("mixed",), "one model", "", tried=False))
    text = report.markdown({"cores": "2"}, summary(found), [], [1, 16, 64])
    assert text.startswith("cores: 2\n")
    figures = ["10,000", "0.20", "0.60"]
    ours = " | ".join(
        ["| ours", *(each for each in figures for _ in range(3)), "100", "1.00", "3 |"]
    )
    assert text.count(ours) == 3
    assert text.count("| one | **failed** |") == 1
    assert "| one | 800 | **failed** |" in text
    assert "| flask_gthread | 1,000 | not run |" in text
    assert "one, mlp-json, mixed: Its log is /logs/one.log.\n\n    it\n    fell" in text
    assert "flask_gthread, mixed: not run, one model." in text
    assert "| mlp | 10,000 | 19,000 |" in text
    widths = {line.count("|") for line in text.split("### ")[1].splitlines() if "|" in line}
    assert len(widths) == 1


def test_the_json_has_every_measurement_and_the_bars() -> None:
    found = results()
    document = json.loads(report.as_json({"cores": "2"}, found, bars.judge(summary(found))))
    assert len(document["measurements"]) == len(found.measurements)
    assert document["measurements"][0]["load"]["p50_ms"] == 0.2
    assert document["capacities"]["ours"] == 9000.0
    assert {each["reached"] for each in document["bars"]} == {True}


def test_tuning_tells_the_best_configuration_first() -> None:
    tried = peer.parse(
        Path("/peers/ours"), FILE.format("ours", "ours", 2) + '[[tried]]\nname = "more"\n'
    )
    found = Results(
        [
            measured("ours", "xgboost", 1, 100, 1.0, 1),
            measured("ours: more", "xgboost", 1, 200, 1.0, 1),
        ]
    )
    told = report.tuned(summarise(found, [tried, *tried.tried], ["xgboost"]))
    assert told.endswith("best first: ours: more 200; ours 100")


@pytest.mark.parametrize("draw", [charts.throughput, charts.latency, charts.memory])
def test_a_chart_is_an_svg_with_every_peer(draw: "charts.Draw") -> None:
    rows = summary(results()).rows["xgboost"]
    chart = ET.fromstring(draw("a < b", rows))
    texts = {element.text for element in chart.iter("{http://www.w3.org/2000/svg}text")}
    assert {"a < b", "ours", "flask_gthread", "one", "nginx"} <= texts


def test_names_of_lines_that_end_close_together_lie_apart() -> None:
    rows = summary(results()).rows["xgboost"]
    chart = ET.fromstring(charts.throughput("title", rows))
    names = {row.peer.title for row in rows}
    heights = sorted(
        float(element.attrib["y"])
        for element in chart.iter("{http://www.w3.org/2000/svg}text")
        if element.text in names
    )
    gaps = [later - earlier for earlier, later in pairwise(heights)]
    assert min(gaps) >= charts.LABEL_HEIGHT - 0.1
