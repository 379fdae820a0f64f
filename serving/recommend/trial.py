"""One candidate under load: a server with its settings, asked by more and more connections."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import OK, HTTPConnection, HTTPException
from typing import NamedTuple

from serving.bench.connection import resolve
from serving.bench.engine import Engine
from serving.bench.plan import Stage
from serving.bench.target import Message, requests, target
from serving.errors import ConfigurationError
from serving.recommend.search import Candidate

WARM_UP_SECONDS = 0.5

FAILED = b"failed to load"
"""What a ping says for ever once it has."""

PAUSE_SECONDS = 0.1
"""Between two looks whether the server is ready."""


class Level(NamedTuple):
    """What a server did with so many connections."""

    connections: int
    rate: float
    """Predictions a second."""
    p50: float
    """Seconds."""
    p99: float
    """Seconds."""
    errors: int


class Subject(NamedTuple):
    """What is tried."""

    model: str
    """A directory, an archive or a URL."""
    messages: Sequence[Message]
    environment: Mapping[str, str]
    """Of the servers, but for what is tried."""
    connections: Sequence[int]
    """Loads, each a number of connections."""
    seconds: float
    """Of each load, at an effort of 1."""
    start_seconds: float = 300.0
    """Longest time that a server may take to become ready."""


def levels(subject: Subject, candidate: Candidate, effort: float) -> list[Level]:
    """Serve with the candidate's settings and measure every load.

    Raises:
        ConfigurationError: the server does not start, or answers nothing well; with the end of
            its log.
    """
    with _served(subject, candidate) as port:
        where = target(f"http://127.0.0.1:{port}", "/invocations")
        sent = requests(where, subject.messages, [1.0] * len(subject.messages), None, 1)
        most = max(subject.connections)
        engine = Engine(where, resolve(where), sent, timeout=60.0, most_connections=most)
        try:
            engine.run(Stage(WARM_UP_SECONDS, connections=subject.connections[0]))
            return [_level(engine, each, subject.seconds * effort) for each in subject.connections]
        finally:
            engine.close()


def best_level(found: Sequence[Level], limit: float) -> Level | None:
    """The level of most predictions whose p99 is within the limit in seconds and free of errors."""
    good = [each for each in found if each.rate and each.p99 <= limit and not each.errors]
    return max(good, key=lambda each: each.rate, default=None)


def score(found: Sequence[Level], limit: float) -> float:
    """Predictions a second within the limit; else how far it is missed, as a number below 0."""
    level = best_level(found, limit)
    if level is not None:
        return level.rate
    return -min((each.p99 / limit for each in found if each.rate), default=float("inf"))


def _level(engine: Engine, connections: int, seconds: float) -> Level:
    seen = engine.run(Stage(seconds, connections=connections))
    latencies = seen.latencies
    return Level(
        connections,
        latencies.total / seconds,
        latencies.percentile(50),
        latencies.percentile(99),
        seen.due - latencies.total,
    )


@contextmanager
def _served(subject: Subject, candidate: Candidate) -> Iterator[int]:
    """A server with the candidate's settings; gives its port once it is ready."""
    with tempfile.TemporaryFile() as log:
        port = _free_port()
        command = [sys.executable, "-m", "serving.cli", "serve", subject.model]
        process = subprocess.Popen(  # noqa: S603 - it is this package
            [*command, "--bind", "127.0.0.1", "--port", str(port)],
            env={**subject.environment, **dict(candidate)},
            stdout=log,
            stderr=log,
        )
        try:
            if not _ready(process, port, subject.start_seconds):
                log.seek(0)
                end = log.read()[-2000:].decode("utf-8", "replace").strip()
                settings = ", ".join(f"{name}={value}" for name, value in candidate)
                raise ConfigurationError(f"The server does not start with {settings}:\n{end}")
            yield port
        finally:
            process.terminate()
            process.wait()


def _ready(process: subprocess.Popen[bytes], port: int, seconds: float) -> bool:
    """Wait until the model is loaded; False if it cannot be, or not in time."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        status, said = _ping(port)
        if status == OK:
            return True
        if FAILED in said:
            return False
        with suppress(subprocess.TimeoutExpired):
            process.wait(PAUSE_SECONDS)
    return False


def _ping(port: int) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/ping")
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException):  # it does not listen yet
        return 0, b""
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
