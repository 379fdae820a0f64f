"""What is measured of this server: many models loaded, asked again, and more than fit."""

import random
import sys
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from benchmarks.density import client
from benchmarks.density.client import Times
from benchmarks.throughput import generator
from benchmarks.throughput.generator import Load
from benchmarks.throughput.targets import Target, started
from serving.processes import memory

ZIPF = 1.0
"""Exponent: the n-th most popular model is asked for 1/n as often as the first."""

SEED = 5

WARM_UP = 500
"""Requests before a load."""
MIB = 1024 * 1024


class Question(NamedTuple):
    """A row, and what the library answers."""

    body: bytes
    answer: bytes


class Resident(NamedTuple):
    """All models loaded."""

    empty: int
    """Bytes of the server before it loaded any."""
    each: float
    """Bytes of a model."""
    cold: Times
    warm: Times


class Evicting(NamedTuple):
    """More models than fit."""

    budget: int
    """In bytes."""
    times: Times
    hits: float
    """Share of the requests whose model was loaded."""
    evicted: int


class Warm(NamedTuple):
    """One model under load in both modes, by number of connections."""

    single: dict[int, Load]
    multi: dict[int, Load]


def all_resident(
    repository: Path, names: Sequence[str], ask: Question, workspace: Path
) -> Resident:
    """Ask for each model once, which loads it, and then for each again."""
    with started(_target(repository, workspace), workspace) as server:
        empty = memory.of(server.pid)
        cold = client.ask(server.port, names, *ask)
        each = (memory.of(server.pid) - empty) / len(names)
        warm = client.ask(server.port, names, *ask)
    return Resident(empty, each, cold, warm)


def evicting(
    repository: Path,
    names: Sequence[str],
    ask: Question,
    workspace: Path,
    *,
    fitting: int,
    model_bytes: float,
    requests: int,
) -> Evicting:
    """Ask for models by their popularity, where only so many fit."""
    budget = int(fitting * model_bytes)
    limit = {"SERVING_MODEL_MEMORY_MB": str(budget / MIB)}
    with started(_target(repository, workspace, limit), workspace) as server:
        client.ask(server.port, names[: 2 * fitting], *ask)  # from the first request on it is full
        before = client.counts(server.port)
        times = client.ask(server.port, zipf(names, requests), *ask)
        after = client.counts(server.port)

    def change(event: str) -> float:
        series = f'serving_models_total{{event="{event}"}}'
        return after.get(series, 0.0) - before.get(series, 0.0)

    return Evicting(budget, times, 1 - change("loaded") / requests, int(change("evicted")))


def warm(
    model: Path,
    repository: Path,
    name: str,
    ask: Question,
    workspace: Path,
    *,
    connections: Sequence[int],
    seconds: int,
    rounds: int,
) -> list[Warm]:
    """One model under load in single-model and multi-model mode, in turn, with one worker each."""
    multi = _target(repository, workspace)
    results = []
    for number in range(rounds):
        loads = []
        for target, headers in (
            (_single(model, workspace), {}),
            (multi, {"X-Amzn-SageMaker-Target-Model": name}),
        ):
            with started(target, workspace) as server:
                client.ask(server.port, [name] * WARM_UP, *ask)
                loads.append(
                    {
                        count: generator.load(
                            server.port, ask.body, count, seconds, headers=headers
                        )
                        for count in connections
                    }
                )
        print(f"warm: round {number + 1} of {rounds} is done", file=sys.stderr, flush=True)
        results.append(Warm(*loads))
    return results


def zipf(names: Sequence[str], count: int) -> list[str]:
    """Names at random, the first ones most often; the same ones each time."""
    weights = list(accumulate(1 / (rank + 1) ** ZIPF for rank in range(len(names))))
    return random.Random(SEED).choices(names, cum_weights=weights, k=count)


def _single(model: Path, workspace: Path) -> Target:
    return Target("single", lambda port: _command(port, str(model)), True, _cache(workspace))


def _target(
    repository: Path, workspace: Path, variables: Mapping[str, str] | None = None
) -> Target:
    more = (("SERVING_REPOSITORY", str(repository)), *(variables or {}).items())
    return Target("multi", _command, True, (*_cache(workspace), *more))


def _command(port: int, *model: str) -> list[str]:
    address = ["--bind", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "serving.cli", "serve", *model, *address]


def _cache(workspace: Path) -> tuple[tuple[str, str], ...]:
    return (("SERVING_CACHE", str(workspace / "cache")),)
