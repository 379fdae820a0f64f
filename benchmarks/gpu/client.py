"""Clients of a server, each a process of its own: one alone could not keep a GPU busy.

Those processes import this module, so it imports little.
"""

import http.client
import io
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.throughput import BenchmarkError

NPY = "application/x-npy"

Rows = NDArray[np.float32]


def load(port: int, batches: Sequence[Rows], connections: int, seconds: float) -> float:
    """Rows a second that a server answers, each connection being a process of its own.

    Raises:
        BenchmarkError: an answer was not 200.
    """
    bodies = [_npy(batch) for batch in batches]
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(connections).wait
    with ProcessPoolExecutor(connections, mp_context=context, initializer=begin) as pool:
        ask = partial(_ask, port, bodies, seconds)
        answered = sum(pool.map(ask, range(connections)))
    return answered * len(batches[0]) / seconds


def _ask(port: int, bodies: Sequence[bytes], seconds: float, number: int) -> int:
    """Requests answered in that time."""
    begin, answered = time.perf_counter(), 0
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        while time.perf_counter() - begin < seconds:
            _post(connection, bodies[(number + answered) % len(bodies)])
            answered += 1
    return answered


def _post(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    connection.request("POST", "/invocations", body, {"content-type": NPY, "accept": NPY})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise BenchmarkError(f"The server answered {response.status}: {content[:300]!r}")
    return content


def ask(port: int, batch: Rows) -> Rows:
    """The answer to one batch. Raises BenchmarkError where it is not 200."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        answer: Rows = np.load(io.BytesIO(_post(connection, _npy(batch))))
    return answer


def _npy(batch: Rows) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, batch)
    return buffer.getvalue()
