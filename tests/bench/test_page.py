"""The page of a load test: what its plots show."""

import math
from typing import Any

import pytest

from serving.bench import results
from serving.bench.page import page
from serving.bench.plan import Stage, open_stage
from serving.bench.plot import Line, linear, nines, plot
from serving.bench.recorder import Recorder


def seen(stage: Stage, *seconds: tuple[int, int]) -> Recorder:
    """A stage in each of whose seconds so many requests were answered well, and so many refused."""
    recorder = Recorder(stage)
    for second, (good, refused) in enumerate(seconds):
        for status in (*[200] * good, *[503] * refused):
            recorder.sent(second + 0.5)
            recorder.answered(second + 0.5, 0.01, status)
    return recorder


def made(*recorders: Recorder, **more: str) -> str:
    found: dict[str, Any] = {**results.document("http://h/", recorders), **more}
    return page(found)


def section(html: str, heading: str) -> str:
    """What follows a heading, up to the next."""
    return html.partition(f"<h2>{heading}</h2>")[2].partition("<h2>")[0].partition("<script")[0]


def test_a_growing_rate_is_a_point_for_each_second_against_what_was_offered() -> None:
    html = made(seen(open_stage(3.0, 0.0, 30.0), (5, 0), (15, 0), (16, 9)))
    assert section(html, "Answers against offered load").count("<circle") == 3


def test_a_steady_rate_is_one_point_and_a_closed_loop_is_none() -> None:
    closed = seen(Stage(2.0, connections=4), (50, 0), (50, 0))
    low, high = (seen(open_stage(2.0, rate), (rate, 0), (rate, 1)) for rate in (10, 20))
    assert section(made(closed, low, high), "Answers against offered load").count("<circle") == 2
    assert "against offered load" not in made(closed, low)


def test_the_stages_are_lines_of_their_own_over_time() -> None:
    first, second = (seen(open_stage(3.0, 10.0), (10, 0), (10, 0), (10, 0)) for _ in range(2))
    for heading in ("Latency over time", "Requests over time"):
        assert section(made(first, second), heading).count("<polyline") == 3 * 2


def test_seconds_without_an_answer_interrupt_the_latencies_and_not_the_requests() -> None:
    html = made(seen(open_stage(5.0, 10.0), (10, 0), (10, 0), (0, 10), (10, 0), (10, 0)))
    assert section(html, "Latency over time").count("<polyline") == 3 * 2
    assert section(html, "Requests over time").count("<polyline") == 3


def test_a_stage_without_a_good_answer_is_no_error() -> None:
    html = made(seen(open_stage(2.0, 1.0), (0, 5), (0, 5)))
    assert "<h2>" not in html
    assert "10 × status 503" in html


def test_no_percentile_is_shown_that_the_answers_are_too_few_for() -> None:
    few, many = ((count, 0) for count in (90, 1200))
    assert "99.9 %" not in section(made(seen(open_stage(1.0, 1.0), few)), "Latency by percentile")
    assert "99.9 %" in section(made(seen(open_stage(1.0, 1.0), many)), "Latency by percentile")


def test_a_title_and_what_it_is_about_are_shown_as_text() -> None:
    html = made(seen(open_stage(1.0, 1.0), (1, 0)), title="a < b", about="c & d")
    assert "<h1>a &lt; b</h1><p>c &amp; d</p>" in html
    assert "Load test of http://h/" in made(seen(open_stage(1.0, 1.0), (1, 0)))


@pytest.mark.parametrize(
    ("values", "lines", "dots"),
    [
        ([1.0, 2.0, 3.0], 1, 0),
        ([1.0, 2.0, math.nan, 3.0, 4.0], 2, 0),
        ([1.0, 2.0, math.nan, 3.0], 2, 1),
        ([math.nan], 0, 0),
    ],
)
def test_a_line_is_interrupted_where_there_is_no_value(
    values: list[float], lines: int, dots: int
) -> None:
    drawn = plot([Line("a", list(enumerate(values)))], linear("x", 5.0), linear("y", 5.0))
    assert (drawn.count("<polyline"), drawn.count("<circle")) == (lines, dots)


def test_each_further_nine_is_as_far_from_the_last() -> None:
    place = nines("percentile", 3).place
    assert [round(place(share), 6) for share in (0, 90, 99, 99.9, 100)] == [
        *(0, round(1 / 3, 6), round(2 / 3, 6)),
        *(1, 1),
    ]
