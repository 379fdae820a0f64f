"""CloudWatch's embedded metric format, from the same counts as /metrics."""

import asyncio
import json
import os
from typing import Any

import pytest

from serving.emf import Reporter, quantile
from serving.metrics import Metrics


class Clock:
    """Seconds since 1970, as a test has them."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


def metric(name: str, unit: str) -> dict[str, str]:
    return {"Name": name, "Unit": unit}


def test_a_line_has_what_was_counted_since_the_last() -> None:
    counts, lines, clock = Metrics(), list[str](), Clock(1_700_000_000.0)
    counts.answered(200, 5.0)  # before the reporter began
    reporter = Reporter("Models", counts, lines.append, clock)
    for _ in range(100):
        counts.answered(200, 0.02)
    counts.answered(404, 0.02)
    counts.answered(503, 0.02)
    counts.answered(504, 0.02)
    counts.batches.observe(2)
    counts.batches.observe(7)
    counts.waiting = 3

    clock.seconds += 60.25
    reporter.report()

    (line,) = lines
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "_aws": {
            "Timestamp": 1_700_000_060_250,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Models",
                    "Dimensions": [[]],
                    "Metrics": [
                        metric("Requests2XX", "Count"),
                        metric("Requests3XX", "Count"),
                        metric("Requests4XX", "Count"),
                        metric("Requests5XX", "Count"),
                        metric("QueueDepth", "Count"),
                        metric("LatencyP50", "Seconds"),
                        metric("LatencyP99", "Seconds"),
                        metric("BatchRows", "Count"),
                    ],
                }
            ],
        },
        "pid": os.getpid(),
        "Requests2XX": 100,
        "Requests3XX": 0,
        "Requests4XX": 1,
        "Requests5XX": 2,
        "QueueDepth": 3,
        "LatencyP50": pytest.approx(0.0175),
        "LatencyP99": pytest.approx(0.02485),
        "BatchRows": 4.5,
    }


def test_a_time_without_requests_has_no_latency_and_no_batches() -> None:
    counts, lines = Metrics(), list[str]()
    counts.answered(200, 0.02)
    counts.batches.observe(2)
    reporter = Reporter("Models", counts, lines.append, Clock(0.0))
    reporter.report()
    document: dict[str, Any] = json.loads(lines[0])
    names = [entry["Name"] for entry in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert names == ["Requests2XX", "Requests3XX", "Requests4XX", "Requests5XX", "QueueDepth"]
    assert names == [name for name in document if name not in ("_aws", "pid")]
    assert [document[name] for name in names] == [0, 0, 0, 0, 0]


def test_each_line_begins_where_the_last_ended() -> None:
    counts, lines = Metrics(), list[str]()
    reporter = Reporter("Models", counts, lines.append, Clock(0.0))
    for _ in range(3):
        counts.answered(200, 0.02)
        reporter.report()
    assert [json.loads(line)["Requests2XX"] for line in lines] == [1, 1, 1]


@pytest.mark.parametrize(
    ("counts", "part", "value"),
    [
        ([10, 0, 0], 0.5, 0.5),
        ([0, 10, 0], 0.5, 1.5),
        ([0, 10, 0], 1.0, 2.0),
        ([5, 5, 0], 0.5, 1.0),
        ([5, 5, 0], 0.75, 1.5),
        ([0, 0, 4], 0.5, 2.0),
    ],
)
def test_a_quantile_lies_within_its_bucket(counts: list[int], part: float, value: float) -> None:
    assert quantile(counts, [1.0, 2.0], part) == pytest.approx(value)


async def test_a_line_is_written_when_the_reporter_ends() -> None:
    counts, lines = Metrics(), list[str]()
    task = asyncio.create_task(Reporter("Models", counts, lines.append).run(3600))
    await asyncio.sleep(0)
    counts.answered(200, 0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [json.loads(line)["Requests2XX"] for line in lines] == [1]


async def test_a_line_is_written_again_and_again() -> None:
    written, lines = asyncio.Event(), list[str]()

    def write(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            written.set()

    task = asyncio.create_task(Reporter("Models", Metrics(), write).run(0.001))
    await asyncio.wait_for(written.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_reads_the_lines_may_leave(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_line: str) -> None:
        raise BrokenPipeError

    await asyncio.wait_for(Reporter("Models", Metrics(), broken).run(0.001), 20)

    assert "metrics are written no more" in caplog.text


def test_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter("Models", Metrics()).report()
    assert json.loads(capsys.readouterr().out)["QueueDepth"] == 0
