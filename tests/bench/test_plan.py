"""Stages as they are written, and when their requests are due."""

import pytest

from serving.bench.plan import Stage, arrivals, open_stage, parse
from serving.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("500/s x 10s", Stage(10, 500, 500)),
        ("0..500/s x 30s", Stage(30, 0, 500)),
        ("500..0/s x 30", Stage(30, 500, 0)),
        ("16 x 2.5s", Stage(2.5, connections=16)),
    ],
)
def test_a_stage_is_read(text: str, stage: Stage) -> None:
    assert parse(text) == stage


@pytest.mark.parametrize(
    "text", ["", "x", "16", "16 x", "0 x 1s", "-1/s x 1s", "0/s x 1s", "5/s x 0s", "a/s x 1s",
             "5/s x infs", "5..nan/s x 1s"]
)  # fmt: skip
def test_what_is_no_stage_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ConfigurationError, match="500/s x 10s"):
        parse(text)


@pytest.mark.parametrize(
    ("stage", "about"),
    [
        (Stage(2, connections=1), "1 connection for 2 s"),
        (open_stage(2, 5), "5 requests/s for 2 s"),
        (open_stage(2, 0, 5), "0 to 5 requests/s for 2 s"),
    ],
)
def test_a_stage_says_what_it_is(stage: Stage, about: str) -> None:
    assert stage.about == about


def test_a_constant_rate_is_due_at_even_distances() -> None:
    assert list(arrivals(open_stage(1, 4), 1, poisson=False)) == [0.25, 0.5, 0.75]


def test_a_ramp_is_due_more_and_more_often() -> None:
    times = list(arrivals(open_stage(10, 0, 20), 1, poisson=False))
    assert len(times) == pytest.approx(100, abs=1)  # a mean of ten a second
    assert sum(time < 5 for time in times) == pytest.approx(25, abs=1)


def test_a_falling_ramp_ends() -> None:
    times = list(arrivals(open_stage(10, 20, 0), 1, poisson=False))
    assert len(times) == pytest.approx(100, abs=1)
    assert sum(time < 5 for time in times) == pytest.approx(75, abs=1)


def test_by_chance_the_rate_holds_and_a_seed_repeats_it() -> None:
    times = list(arrivals(open_stage(100, 100), 1))
    assert len(times) == pytest.approx(10_000, rel=0.05)
    assert times == sorted(times)
    assert times == list(arrivals(open_stage(100, 100), 1))
    assert times != list(arrivals(open_stage(100, 100), 2))
