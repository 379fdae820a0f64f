"""A peer is started for a model, and asked until it answers as the library does."""

import http.client
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.peers.encodings import ENCODINGS, Body
from benchmarks.peers.peer import Peer, fill
from benchmarks.peers.workloads import WORKLOADS, Array, Question
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.targets import (
    POLL_SECONDS,
    REPOSITORY,
    Started,
    Target,
    free_ports,
    started,
)

PREPARE_SECONDS = 300.0
ANSWER_SECONDS = 60.0
"""How long after it is ready a peer may refuse the first request."""
TOLERANCE = 1e-5
LOG_CHARACTERS = 2000


class Setup(NamedTuple):
    """What is the same for all peers of a run."""

    models: Path
    """The folder of the models."""
    work: Path
    """A folder for each peer is made in it."""
    questions: Mapping[str, Question]
    """By the models' names."""


@contextmanager
def running(peer: Peer, python: Path, setup: Setup, models: Sequence[str]) -> Iterator[Started]:
    """Start a peer that serves some models, and wait until it is ready; nothing of it is left.

    Raises:
        BenchmarkError: it could not be prepared, or did not start.
    """
    work = setup.work / peer.name / "+".join(models)
    values = _values(peer, python, setup, models, work)
    if not work.exists():
        work.mkdir(parents=True)
        if peer.prepare:
            _prepare(peer, values, work)
    port, *others = free_ports(3)
    values |= {"port": port, "port2": others[0], "port3": others[1]}
    for name in peer.templates:
        (work / name).write_text(fill((peer.folder / name).read_text(), values))
    command = [fill(word, values) for word in peer.command]
    target = Target(
        peer.name,
        lambda _port: command,
        variables=tuple(_variables(peer, values).items()),
        ready=peer.ready,
        folder=work,
    )
    with started(target, work, port) as server:
        yield server


def first_answer(peer: Peer, workload: str, port: int, question: Question) -> None:
    """Ask until the answer is right. What the peer was not ready for, it may be a moment later.

    Raises:
        BenchmarkError: an answer is wrong, or none comes.
    """
    limit = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return verify(peer, workload, port, question.rows[0], question.expected[0])
        except _NotReady as error:
            if time.monotonic() > limit:
                raise BenchmarkError(str(error)) from error
            time.sleep(POLL_SECONDS)


def verify(peer: Peer, workload: str, port: int, row: Array, expected: Array) -> None:
    """Ask for a row on a connection of its own. Raises BenchmarkError where the answer is wrong."""
    request = peer.requests[workload]
    sent = body(peer, workload, row)
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)) as connection:
            connection.request("POST", request.path, sent.data, dict(sent.headers))
            response = connection.getresponse()
            content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _NotReady(f"{peer.name} did not answer {request.path}: {error!r}") from error
    if response.status != 200:
        raise _NotReady(f"{request.path} answered {response.status}: {content[:500]!r}")
    if peer.constant:
        return
    headers = {name.lower(): value for name, value in response.getheaders()}
    try:
        found = ENCODINGS[request.answer].read(content, headers)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BenchmarkError(f"{request.path} answered {content[:500]!r}: {error}") from error
    if found.shape != expected.shape or not np.allclose(found, expected, 0.0, TOLERANCE):
        raise BenchmarkError(
            f"{request.path} answered {content[:500]!r}; the library's are {expected}."
        )


def body(peer: Peer, workload: str, row: Array) -> Body:
    """What a peer is sent for a row, with all headers."""
    request = peer.requests[workload]
    written = ENCODINGS[request.encoding].write(row)
    return Body(written.data, {**written.headers, **dict(request.headers)})


def workloads_of(peer: Peer, asked: Sequence[str]) -> list[tuple[tuple[str, ...], list[str]]]:
    """The models of each start of a peer, with those of the workloads that it is then asked."""
    able = [name for name in asked if name in peer.requests]
    models = tuple(dict.fromkeys(WORKLOADS[name].model for name in able))
    if not peer.one_model:
        return [(models, able)] if able else []
    return [
        ((model,), [name for name in able if WORKLOADS[name].model == model]) for model in models
    ]


class _NotReady(BenchmarkError):
    """There was no answer, which may change."""


def _values(
    peer: Peer, python: Path, setup: Setup, models: Sequence[str], work: Path
) -> dict[str, object]:
    return {
        "python": python,
        "bin": python.parent,
        "repository": REPOSITORY,
        "here": peer.folder,
        "shared": peer.folder.with_name(peer.shares or peer.name),
        "models": setup.models,
        "model": setup.models / models[0],
        "names": ",".join(models),
        "work": work,
    }


def _variables(peer: Peer, values: Mapping[str, object]) -> dict[str, str]:
    path = f"{values['bin']}:{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return {"PATH": path} | {name: fill(text, values) for name, text in peer.variables.items()}


def _prepare(peer: Peer, values: Mapping[str, object], work: Path) -> None:
    environment = {"HOME": str(work), "LANG": "C.UTF-8", **_variables(peer, values)}
    try:
        done = subprocess.run(
            [fill(word, values) for word in peer.prepare],
            cwd=work,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PREPARE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{peer.name} could not be prepared: {error}") from error
    if done.returncode != 0:
        raise BenchmarkError(f"{peer.name} could not be prepared:\n{done.stdout[-LOG_CHARACTERS:]}")
