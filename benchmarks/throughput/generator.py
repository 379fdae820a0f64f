"""The load generator: wrk, one process a measurement, and how its result is read."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import executable

SCRIPT = Path(__file__).with_name("load.lua")
GRACE_SECONDS = 30.0
ERRORS = ("connect", "read", "write", "status", "timeout", "wrong")


class Load(NamedTuple):
    """What wrk saw."""

    requests: int
    """Answers received."""
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    """Failed connects, reads and writes, statuses from 400 up, answers later than ten seconds
    and, where answers were compared, answers that differ."""


def load(
    port: int,
    body: bytes,
    connections: int,
    seconds: int,
    answer: str = "",
    headers: Mapping[str, str] | None = None,
    path: str = "/invocations",
) -> Load:
    """POST ``body`` over ``connections`` connections, each with one request at a time.

    Args:
        port: Of the server, on 127.0.0.1.
        body: What is sent; may be binary.
        connections: How many.
        seconds: For how long.
        answer: Every response is compared with it; empty: with none.
        headers: Of the request; by default it is a row of CSV.
        path: What is asked.

    Raises:
        BenchmarkError: wrk is missing, failed, did not end, or had no answer.
    """
    command = [executable("wrk"), "--connections", str(connections), "--duration", f"{seconds}s"]
    # One thread loads nginx as fully as two, and leaves the server more of a small machine.
    command += ["--threads", "1", "--script", str(SCRIPT), "--timeout", "10s"]
    for name, value in {"Content-Type": "text/csv", **(headers or {})}.items():
        command += ["--header", f"{name}: {value}"]
    try:
        with tempfile.NamedTemporaryFile() as file:  # an argument cannot be binary
            file.write(body)
            file.flush()
            command += [f"http://127.0.0.1:{port}{path}", "--", file.name]
            command += [answer] if answer else []
            limit = seconds + GRACE_SECONDS
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=limit
            )
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"wrk failed: {error.stderr or error.stdout}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"wrk did not end within {error.timeout:.0f} seconds.") from error
    result = parse(done.stdout)
    if not result.requests:
        raise BenchmarkError(f"Not one answer came in {seconds} seconds.")
    return result


def parse(output: str) -> Load:
    """Read the line of JSON that load.lua prints last.

    Raises:
        BenchmarkError: there is no such line.
    """
    try:
        result = json.loads(output.strip().rpartition("\n")[2])
        return Load(
            requests=result["requests"],
            seconds=result["duration_us"] / 1e6,
            p50_ms=result["p50_us"] / 1e3,
            p99_ms=result["p99_us"] / 1e3,
            errors=sum(result[kind] for kind in ERRORS),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"wrk printed no result of load.lua:\n{output}") from error
