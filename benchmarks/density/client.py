"""A client with one connection that times its requests."""

import http.client
import time
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from benchmarks.overload.report import percentile
from benchmarks.throughput import BenchmarkError

TIMEOUT = 60.0


class Times(NamedTuple):
    """How long requests took, in milliseconds."""

    requests: int
    p50_ms: float
    p99_ms: float


def ask(port: int, names: Sequence[str], body: bytes, answer: bytes) -> Times:
    """Ask each model in turn for the same row, on one connection.

    Raises:
        BenchmarkError: an answer is not the one that the library gives.
    """
    seconds = []
    with closing(http.client.HTTPConnection("127.0.0.1", port, TIMEOUT)) as connection:
        for name in names:
            headers = {"Content-Type": "text/csv", "X-Amzn-SageMaker-Target-Model": name}
            began = time.perf_counter()
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            content = response.read()
            seconds.append(time.perf_counter() - began)
            if (response.status, content) != (200, answer):
                raise BenchmarkError(f"{name} answered {response.status}: {content[:500]!r}")
    return Times(len(seconds), percentile(seconds, 0.5) * 1e3, percentile(seconds, 0.99) * 1e3)


def counts(port: int) -> dict[str, float]:
    """What /metrics says, by the name of the series with its labels."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, TIMEOUT)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}
