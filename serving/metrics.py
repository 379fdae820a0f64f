"""What a server counts, as Prometheus reads it.

The counts are plain numbers of one process, since a request has some microseconds to spend on them
and a metrics library takes several for each. A snapshot of them is plain data: those of several
processes add up, and ``prometheus-client`` writes the sum. It is imported when it does, since
not every host has it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds of the buckets of times."""

ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)
"""Upper bounds of the buckets of batches."""

STAGES = ("wait", "decode", "predict", "encode")

Snapshot = Mapping[str, Any]


class Histogram:
    """Counts of observations below each of some bounds."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last: beyond all bounds
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += times
        self.total += value * times


class Metrics:
    """The counts of one process. All are kept on the event loop's thread."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        """Invocations answered, and requests refused before they were whole, by status."""
        self.latency = Histogram(SECONDS)
        """From the whole request to the answer."""
        self.stages = {stage: Histogram(SECONDS) for stage in STAGES}
        self.batches = Histogram(ROWS)
        """Rows of each call of a model."""
        self.waiting = 0
        """Requests that wait for a model's thread."""
        self.models: Counter[str] = Counter()
        """Models that were loaded, were evicted, or failed, by these words; of a server of many."""
        self.loaded = 0
        """Models that are loaded."""
        self.model_bytes = 0
        """Memory that they take, as measured when each was loaded."""
        self.model_gpu_bytes = 0
        """Memory of the GPU that they take, likewise."""
        self.load_seconds = 0.0
        """How long the model took to load, the warm-up included."""
        self.elsewhere: Callable[[], Snapshot] | None = None
        """Gives what processes of models have counted, which is added."""

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer, ``seconds`` after its request came."""
        self.requests[status] += 1
        self.latency.observe(seconds)

    def refused(self, status: int) -> None:
        """Count a request that was refused before it was whole: it has no time to an answer."""
        self.requests[status] += 1

    def snapshot(self, memory: int) -> Snapshot:
        """All counts as plain data, for a process that holds ``memory`` bytes."""
        own = self._snapshot(memory)
        return add(own, self.elsewhere()) if self.elsewhere else own

    def _snapshot(self, memory: int) -> dict[str, Any]:
        return {
            "requests": {str(status): count for status, count in self.requests.items()},
            "latency": _plain(self.latency),
            "stages": {stage: _plain(histogram) for stage, histogram in self.stages.items()},
            "batches": _plain(self.batches),
            "waiting": self.waiting,
            "models": dict(self.models),
            "loaded": self.loaded,
            "model_bytes": self.model_bytes,
            "model_gpu_bytes": self.model_gpu_bytes,
            "load_seconds": self.load_seconds,
            "memory": memory,
        }


def add(first: Any, second: Any) -> Any:
    """The sum of two snapshots, number by number."""
    if isinstance(first, Mapping):
        keys = {**first, **second}
        return {
            key: add(first[key], second[key]) if key in first and key in second else either[key]
            for key, either in ((key, first if key in first else second) for key in keys)
        }
    if isinstance(first, list):
        return [add(one, other) for one, other in zip(first, second, strict=True)]
    return first + second


def exposition(
    running: Iterable[Snapshot],
    ended: Iterable[Snapshot] = (),
    connections: Mapping[int, int] | None = None,
) -> bytes:
    """The sum of processes' snapshots in Prometheus' text format.

    What processes that have ended counted stays counted; what they held, they hold no more.
    ``connections`` are those of each process, by a number of its own.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    running = list(running)
    registry = CollectorRegistry()
    families = _families(running, [*running, *ended])
    if connections is not None:
        families.append(_connections(connections))
    registry.register(_Collected(families))
    return generate_latest(registry)


class _Collected:
    """Metrics in the form that the library asks for them."""

    def __init__(self, families: list["Metric"]) -> None:
        self._families = families

    def collect(self) -> list["Metric"]:
        """The metrics."""
        return self._families


def _families(running: list[Snapshot], every: list[Snapshot]) -> list["Metric"]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    requests = CounterMetricFamily(
        "serving_requests",
        "Invocations answered, and requests refused before they were whole, by status.",
        labels=["status"],
    )
    statuses: Counter[str] = Counter()
    for snapshot in every:
        statuses.update(snapshot["requests"])
    for status, count in sorted(statuses.items()):
        requests.add_metric([status], count)

    latency = HistogramMetricFamily(
        "serving_request_seconds", "Time from a whole request to its answer."
    )
    latency.add_metric([], *_sum([snapshot["latency"] for snapshot in every], SECONDS))

    stages = HistogramMetricFamily(
        "serving_stage_seconds",
        "Time of a request in each stage: waiting for the model, decode, predict, encode.",
        labels=["stage"],
    )
    for stage in STAGES:
        parts = [snapshot["stages"][stage] for snapshot in every]
        stages.add_metric([stage], *_sum(parts, SECONDS))

    batches = HistogramMetricFamily("serving_batch_rows", "Rows of each call of the model.")
    batches.add_metric([], *_sum([snapshot["batches"] for snapshot in every], ROWS))

    models = CounterMetricFamily(
        "serving_models", "Models of a server of many, by what became of them.", labels=["event"]
    )
    events: Counter[str] = Counter()
    for snapshot in every:
        events.update(snapshot["models"])
    for event, count in sorted(events.items()):
        models.add_metric([event], count)

    gauges = [
        GaugeMetricFamily(name, meaning, value=fold(snapshot[key] for snapshot in running))
        for name, meaning, key, fold in (
            ("serving_queue_depth", "Requests waiting for the model.", "waiting", sum),
            ("serving_model_load_seconds", "Time the model took to load.", "load_seconds", _most),
            ("serving_models_loaded", "Models that are loaded.", "loaded", sum),
            ("serving_model_bytes", "Memory that models take.", "model_bytes", sum),
            ("serving_model_gpu_bytes", "GPU memory that models take.", "model_gpu_bytes", sum),
            ("serving_memory_bytes", "Resident memory of the workers.", "memory", sum),
        )
    ]
    workers = GaugeMetricFamily("serving_workers", "Worker processes.", value=len(running))
    return [requests, latency, stages, batches, models, *gauges, workers]


def _connections(connections: Mapping[int, int]) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(
        "serving_connections", "Connections of each worker that can answer.", labels=["worker"]
    )
    for worker, count in sorted(connections.items()):
        family.add_metric([str(worker)], count)
    return family


def _plain(histogram: Histogram) -> dict[str, Any]:
    return {"counts": list(histogram.counts), "total": histogram.total}


def _sum(
    parts: list[Mapping[str, Any]], bounds: Sequence[float]
) -> tuple[list[tuple[str, float]], float]:
    """Cumulative buckets, as the format has them, and the total."""
    columns = zip(*(part["counts"] for part in parts), strict=True)
    below, buckets = 0, []
    for bound, column in zip([*map(str, bounds), "+Inf"], columns, strict=False):
        below += sum(column)
        buckets.append((bound, float(below)))
    return buckets, sum(part["total"] for part in parts)


def _most(values: Iterable[float]) -> float:
    return max(values, default=0.0)
