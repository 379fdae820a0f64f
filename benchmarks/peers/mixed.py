"""The mixed load: requests of all workloads by weight, at a rate of their own, to one server.

The rate is a share of what the best peer can answer of that mix, which is measured first. Both
loops are `serving bench`'s: a request's time runs from when it was due.
"""

import itertools
import random
from collections.abc import Iterator, Sequence

from benchmarks.peers.comparison import Comparison
from benchmarks.peers.peer import Peer
from benchmarks.peers.results import Failure, Mixed
from benchmarks.peers.rounds import MOST_ERRORS, START_SECONDS
from benchmarks.peers.starting import body, first_answer
from benchmarks.peers.workloads import MODELS, WORKLOADS
from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.rounds import Plan
from serving.bench import wire
from serving.bench.connection import resolve
from serving.bench.engine import Engine
from serving.bench.plan import Stage, open_stage
from serving.bench.recorder import Recorder
from serving.bench.target import Target

MIXED = "mixed"
SHARE = 0.7
"""Of the best peer's capacity."""
CONNECTIONS = 64
"""Of the closed loop that finds the capacity."""
MOST_CONNECTIONS = 256
"""Of the open loop."""
TIMEOUT = 5.0
SEED = 11


def planned(peers: Sequence[Peer], plan: Plan) -> float:
    """Seconds that `measure` will take."""
    able = sum(peer.role != "limit" and not _hindrance(peer) for peer in peers)
    return able * (plan.rounds + 1) * (START_SECONDS + plan.warm_up + plan.seconds)


def measure(comparison: Comparison, peers: Sequence[Peer], plan: Plan) -> None:
    """Find each peer's capacity, then offer all of them the same."""
    able = []
    for peer in peers:
        if peer.role == "limit" or not comparison.can_start(peer):
            continue
        if reason := _hindrance(peer):
            failure = Failure(peer.title, (MIXED,), reason, "", tried=False)
            comparison.results.failures.append(failure)
        else:
            able.append(peer.mixed or peer)
    able = [peer for peer in able if _capacity(comparison, peer, plan)]
    capacities = comparison.results.capacities
    best = max((capacities[peer.title] for peer in able if peer.role == "peer"), default=0.0)
    rate = SHARE * (best or max(capacities.values(), default=0.0))
    if not rate:
        return
    for number in range(1, plan.rounds + 1):
        able = [peer for peer in able if _offer(comparison, number, peer, rate, plan)]
        able = able[1:] + able[:1]


def _hindrance(peer: Peer) -> str:
    """Why a peer cannot take the mixed load; empty if it can."""
    peer = peer.mixed or peer
    if peer.only_one:
        return "a server of it has one model"
    missing = [name for name in WORKLOADS if name not in peer.requests]
    return f"it has no request for {', '.join(missing)}" if missing else ""


def _capacity(comparison: Comparison, peer: Peer, plan: Plan) -> bool:
    """Measure what a peer can answer; whether that went well."""
    loop = Stage(plan.seconds, connections=CONNECTIONS)
    stages = [loop._replace(seconds=plan.warm_up), loop]
    recorder = _run(comparison, peer, stages, plan)
    if recorder is None:
        return False
    rate = recorder.latencies.total / plan.seconds
    comparison.results.capacities[peer.title] = rate
    comparison.say(f"mixed load: {peer.title} can answer {rate:,.0f} requests/s")
    return True


def _offer(comparison: Comparison, number: int, peer: Peer, rate: float, plan: Plan) -> bool:
    """Offer a peer the load; whether it lived through it. Slow answers are no failure."""
    stages = [open_stage(plan.warm_up, rate), open_stage(plan.seconds, rate)]
    recorder = _run(comparison, peer, stages, plan, most_errors=1.0)
    if recorder is None:
        return False
    latencies = recorder.latencies
    mixed = Mixed(
        round=number,
        peer=peer.title,
        offered=recorder.due / plan.seconds,
        answered=latencies.total / plan.seconds,
        p50_ms=latencies.percentile(50) * 1e3,
        p99_ms=latencies.percentile(99) * 1e3,
        errors=recorder.refusals.total + recorder.failures.total(),
    )
    comparison.results.mixed.append(mixed)
    comparison.say(f"mixed load: {peer.title}, p99: {mixed.p99_ms:.1f} ms, errors: {mixed.errors}")
    return True


def _run(
    comparison: Comparison,
    peer: Peer,
    stages: Sequence[Stage],
    plan: Plan,
    most_errors: float = MOST_ERRORS,
) -> Recorder | None:
    """Offer stages and return what was seen in the last; None where the peer failed."""
    questions = comparison.setup.questions
    try:
        with comparison.start(peer, MODELS) as server:
            for name, workload in WORKLOADS.items():
                first_answer(peer, name, server.port, questions[workload.model])
            where = Target("127.0.0.1", server.port, None, "/")
            engine = Engine(
                where,
                resolve(where),
                _requests(comparison, peer, where),
                timeout=TIMEOUT,
                most_connections=MOST_CONNECTIONS,
                seed=SEED,
            )
            try:
                recorder = [engine.run(stage) for stage in stages][-1]
            finally:
                engine.close()
        _check(recorder, most_errors)
    except BenchmarkError as error:
        comparison.failed(peer, (MIXED,), error)
        return None
    finally:
        comparison.step(START_SECONDS + plan.warm_up + plan.seconds)
    return recorder


def _check(recorder: Recorder, most_errors: float) -> None:
    """Raise BenchmarkError where more than this share of the requests failed, or all."""
    bad = recorder.refusals.total + recorder.failures.total()
    if bad > most_errors * recorder.due or not recorder.latencies.total:
        statuses = {f"status {status}": count for status, count in recorder.statuses.items()}
        kinds = ", ".join(
            f"{count} × {kind}" for kind, count in {**statuses, **recorder.failures}.items()
        )
        raise BenchmarkError(f"{bad} of {recorder.due} requests failed: {kinds}")


def _requests(comparison: Comparison, peer: Peer, where: Target) -> Iterator[bytes]:
    """Requests without end, each of one of the workloads by their weights."""
    written = []
    for name, workload in WORKLOADS.items():
        sent = body(peer, name, comparison.setup.questions[workload.model].rows[0])
        path = peer.requests[name].path
        written.append(wire.request("POST", path, where.authority, sent.headers, sent.data))
    bounds = list(itertools.accumulate(each.weight for each in WORKLOADS.values()))
    chance = random.Random(SEED)
    while True:
        yield from chance.choices(written, cum_weights=bounds, k=1000)
