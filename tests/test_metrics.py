"""What is counted, how counts of several processes add up, and what Prometheus reads."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from serving import metrics
from serving.metrics import ROWS, SECONDS, Histogram, Metrics


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples as Prometheus' own parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def plain(counts: Metrics, memory: int = 0) -> dict[str, Any]:
    """A snapshot after its way through a file."""
    snapshot: dict[str, Any] = json.loads(json.dumps(counts.snapshot(memory)))
    return snapshot


def test_answers_are_counted_by_status() -> None:
    counts = Metrics()
    for status in (200, 200, 415):
        counts.answered(status, 0.002)
    read = samples(metrics.exposition([plain(counts)]))
    assert read["serving_requests_total", (("status", "200"),)] == 2
    assert read["serving_requests_total", (("status", "415"),)] == 1
    assert read["serving_request_seconds_count", ()] == 3
    assert read["serving_request_seconds_sum", ()] == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("value", "below"), [(0.0, 0.0001), (0.0001, 0.0001), (0.00011, 0.00025), (60.0, 60.0)]
)
def test_a_value_counts_in_the_first_bucket_it_fits(value: float, below: float) -> None:
    counts = Metrics()
    counts.answered(200, value)
    read = samples(metrics.exposition([plain(counts)]))
    buckets = [read["serving_request_seconds_bucket", (("le", str(bound)),)] for bound in SECONDS]
    assert buckets == [float(bound >= below) for bound in SECONDS]


def test_a_value_beyond_all_bounds_counts_in_the_last_bucket() -> None:
    counts = Metrics()
    counts.batches.observe(1e6)
    read = samples(metrics.exposition([plain(counts)]))
    assert read["serving_batch_rows_bucket", (("le", str(ROWS[-1])),)] == 0
    assert read["serving_batch_rows_bucket", (("le", "+Inf"),)] == 1


def test_each_stage_has_its_own_histogram() -> None:
    counts = Metrics()
    counts.stages["predict"].observe(0.5, 3)
    read = samples(metrics.exposition([plain(counts)]))
    seen = {
        stage: read["serving_stage_seconds_count", (("stage", stage),)] for stage in counts.stages
    }
    assert seen == {"wait": 0, "decode": 0, "predict": 3, "encode": 0}


def test_workers_add_up_and_those_that_ended_hold_nothing() -> None:
    first, second, ended = Metrics(), Metrics(), Metrics()
    for counts, status in ((first, 200), (second, 500), (ended, 200)):
        counts.answered(status, 0.01)
        counts.waiting = 2
        counts.model_bytes, counts.model_gpu_bytes = 5, 7
    first.load_seconds, second.load_seconds = 1.5, 2.5
    read = samples(metrics.exposition([plain(first, 100), plain(second, 20)], [plain(ended, 4000)]))
    assert read["serving_requests_total", (("status", "200"),)] == 2
    assert read["serving_requests_total", (("status", "500"),)] == 1
    assert read["serving_queue_depth", ()] == 4
    assert read["serving_memory_bytes", ()] == 120
    assert read["serving_model_load_seconds", ()] == 2.5
    assert read["serving_model_bytes", ()] == 10
    assert read["serving_model_gpu_bytes", ()] == 14
    assert read["serving_workers", ()] == 2


def test_a_server_without_workers_still_has_its_counts() -> None:
    ended = Metrics()
    ended.answered(200, 0.01)
    read = samples(metrics.exposition([], [plain(ended)]))
    assert read["serving_requests_total", (("status", "200"),)] == 1
    assert read["serving_workers", ()] == 0


counted = st.lists(st.tuples(st.sampled_from([200, 400, 503]), st.floats(0, 100)), max_size=20)


@given(counted, counted)
def test_the_sum_of_two_snapshots_is_the_snapshot_of_both(
    first: list[tuple[int, float]], second: list[tuple[int, float]]
) -> None:
    apart = [Metrics(), Metrics()]
    together = Metrics()
    for counts, answers in zip(apart, (first, second), strict=True):
        for status, seconds in answers:
            counts.answered(status, seconds)
            together.answered(status, seconds)
    total = metrics.add(plain(apart[0]), plain(apart[1]))
    expected = plain(together)
    assert total["requests"] == expected["requests"]
    assert total["latency"]["counts"] == expected["latency"]["counts"]
    assert total["latency"]["total"] == pytest.approx(expected["latency"]["total"])


def test_a_histogram_counts_many_at_once() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(1.5, 4)
    assert (histogram.counts, histogram.total) == ([0, 4, 0], 6.0)
