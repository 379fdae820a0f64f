"""Scenarios: their files are read, and servers are told what they say."""

import json
from pathlib import Path

import pytest

from benchmarks.density import archives
from benchmarks.scenarios import models, pace, scenario
from benchmarks.scenarios.__main__ import main
from benchmarks.scenarios.scenario import Signal
from benchmarks.scenarios.server import Conductor, Server
from benchmarks.throughput import BenchmarkError
from serving.bench.plan import Stage
from serving.errors import ConfigurationError


class Told(Server):
    """Notes what it is told."""

    def __init__(self, broken: bool = False) -> None:
        super().__init__({}, Path())
        self.told: list[str] = []
        self.broken = broken

    def tell(self, name: str) -> None:
        self.told.append(name)
        if self.broken:
            raise BenchmarkError("it does not start again")


@pytest.mark.parametrize("name", scenario.names())
def test_every_file_is_a_scenario(name: str) -> None:
    read = scenario.read(name)
    assert read.about
    for variant in read.variants:
        assert variant.model in models.MODELS
        assert variant.stages or variant.starts
        assert {signal.name for signal in variant.signals} <= {"HUP", "TERM"}


def test_variants_have_what_is_common_unless_they_say_otherwise() -> None:
    text = """
        stages = ["1 x 2s"]
        rows = 7
        [[variants]]
        name = "a"
        [[variants]]
        name = "b"
        rows = 8
        [[variants.signals]]
        name = "HUP"
        after = 1.5
    """
    first, second = scenario.parse("x", text).variants
    assert (first.name, first.rows, first.signals) == ("a", 7, ())
    assert (second.name, second.rows, second.signals) == ("b", 8, (Signal("HUP", 1.5),))
    assert first.stages == second.stages == (Stage(2, connections=1),)


def test_users_of_locust_come_by_the_stages_of_all_variants() -> None:
    text = """
        stages = ["4 x 10s", "0..50/s x 10s"]
        warm_up = "2 x 1s"
        [[variants]]
        name = "a"
        [[variants]]
        name = "b"
    """
    plan = pace.stages(scenario.parse("x", text))
    steps = [pace.step_at(plan, at) for at in (0.5, 5, 11, 16, 20.99, 21.5, 41.9)]
    assert [(step.name, step.users) for step in steps if step] == [
        ("a: warm-up", 2),
        ("a: 4 connections for 10 s", 4),
        ("a: 0 to 50 requests/s for 10 s", 1),
        ("a: 0 to 50 requests/s for 10 s", 25),
        ("a: 0 to 50 requests/s for 10 s", 50),
        ("b: warm-up", 2),
        ("b: 0 to 50 requests/s for 10 s", 50),
    ]
    assert pace.step_at(plan, 42) is None


def test_every_scenario_with_a_load_is_one_for_locust() -> None:
    for name in scenario.names():
        if name == "cold_start":
            with pytest.raises(BenchmarkError, match="cold_start is no load"):
                pace.stages(scenario.read(name))
        else:
            assert pace.stages(scenario.read(name))


def test_the_names_of_many_models_are_known_before_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"")
    assert archives.make(tmp_path / "model", tmp_path, models.MANY) == models.names("many")
    assert models.names("boosted") == []


def test_what_means_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^pace means nothing; about"):
        scenario.parse("x", "pace = 3")


def test_a_scenario_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["none"])
    assert "there is no scenario none" in capsys.readouterr().err


def test_a_server_is_told_all_in_order() -> None:
    server = Told()
    conductor = Conductor(server, [Signal("HUP", 0.0), Signal("TERM", 0.01)])
    conductor.start()
    conductor.join()
    conductor.end()
    assert server.told == ["HUP", "TERM"]


def test_what_would_come_after_the_load_is_not_told() -> None:
    server = Told()
    conductor = Conductor(server, [Signal("HUP", 1000.0)])
    conductor.start()
    conductor.end()
    assert server.told == []


def test_a_server_that_cannot_be_told_is_an_error_at_the_end() -> None:
    conductor = Conductor(Told(broken=True), [Signal("TERM", 0.0)])
    conductor.start()
    conductor.join()
    with pytest.raises(BenchmarkError, match="does not start again"):
        conductor.end()


def test_starts_are_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scenario, "names", lambda: ["cold_start"])
    monkeypatch.setattr(Server, "start", lambda _self: 0.25)
    assert main(["--output", str(tmp_path)]) == 0
    (stage,) = json.loads((tmp_path / "cold_start.json").read_text())["stages"]
    assert (stage["stage"], stage["latency"]["max"]) == ("10 starts", 250.0)
    assert "| 10 starts" in capsys.readouterr().out
