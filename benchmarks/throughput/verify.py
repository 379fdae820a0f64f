"""A target answers what the library predicts, before anybody asks how fast."""

import http.client

import numpy as np

from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import Target
from benchmarks.throughput.workload import Workload

TIMEOUT = 30.0


def verify(target: Target, port: int, workload: Workload) -> str:
    """Ask for every row and return the body of the answer to the first.

    Each row has a connection of its own, so that every worker is asked.

    Raises:
        BenchmarkError: an answer is not the library's float32, bit for bit.
    """
    count = len(workload.rows) if target.predicts else 1
    bodies = [_post(target, port, row) for row in workload.rows[:count]]
    for number, (body, expected) in enumerate(zip(bodies, workload.predictions, strict=False)):
        if not same_prediction(body, expected):
            raise BenchmarkError(
                f"{target.name} answered {body!r} to row {number}; the library predicts {expected}."
            )
    return bodies[0]


def same_prediction(body: str, expected: np.float32) -> bool:
    """Whether a response body reads back as exactly this float32."""
    try:
        return bool(np.float32(body) == expected)
    except ValueError:
        return False


def _post(target: Target, port: int, row: bytes) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("POST", "/invocations", row, {"Content-Type": "text/csv"})
        response = connection.getresponse()
        body = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"{target.name} did not answer a prediction: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise BenchmarkError(f"{target.name} answered status {response.status}: {body}")
    return body
