"""Latencies in buckets: percentiles within two percent, whatever was recorded."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from serving.bench.histogram import Histogram


def recorded(*seconds: float) -> Histogram:
    histogram = Histogram()
    for each in seconds:
        histogram.record(each)
    return histogram


def test_of_nothing_every_percentile_is_zero() -> None:
    assert (Histogram().percentile(99), Histogram().curve()) == (0.0, [])


@given(some.lists(some.floats(1e-5, 100.0), min_size=1), some.sampled_from([50.0, 90.0, 99.0, 100]))
def test_a_percentile_is_within_two_percent_of_the_exact_one(
    values: list[float], percent: float
) -> None:
    exact = sorted(values)[max(0, -int(-percent * len(values) // 100) - 1)]
    assert recorded(*values).percentile(percent) == pytest.approx(exact, rel=0.02)


def test_the_longest_is_exact() -> None:
    assert recorded(0.1, 0.123456, 0.05).longest == 0.123456


def test_what_another_has_seen_is_added() -> None:
    both = recorded(0.1)
    both.add(recorded(0.3, 0.2))
    assert (both.total, both.shortest, both.longest) == (3, 0.1, 0.3)
    assert both.percentile(67) == pytest.approx(0.3, rel=0.02)


def test_the_curve_ends_with_all() -> None:
    curve = recorded(0.1, 0.2, 0.2, 0.4).curve()
    assert [share for share, _ in curve] == [25.0, 75.0, 100.0]
    assert curve[-1][1] == pytest.approx(0.4, rel=0.02)
