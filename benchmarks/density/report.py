"""From measurements to tables, and the bars to reach."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.density.client import Times
from benchmarks.density.phases import MIB, Evicting, Resident, Warm

MEMORY = 2.0
"""Most memory of a model, in times what the library itself needs."""

SLOWER = 1.1
"""Most that a warm request may cost in multi-model mode, in times single-model mode."""


class Peer(NamedTuple):
    """Another server with models of the same file."""

    name: str
    models: int
    each: float
    """Bytes of a model."""
    load_ms: float
    """Median time from the order to load a model to its end."""


class Results(NamedTuple):
    """All that was measured."""

    models: int
    library: float
    """Bytes that the library needs for a model."""
    resident: Resident
    evicting: Evicting
    warm: Sequence[Warm]
    peers: Sequence[Peer]


def tables(results: Results) -> str:
    """The results as Markdown."""
    resident, evicting = results.resident, results.evicting
    memory = [
        ("the library alone", results.library, 1.0),
        ("serving", resident.each, resident.each / results.library),
    ]
    held = (
        f"Memory of a loaded model, {results.models:,} of them; the empty server takes "
        f"{resident.empty / MIB:.0f} MiB:"
    )
    found = (
        f"Where {evicting.budget / MIB:.0f} MiB are to hold them, {evicting.hits:.0%} of the "
        f"requests found their model loaded, and {evicting.evicted:,} models were evicted."
    )
    lines = [
        held,
        "",
        "| | KiB a model | x the library's |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {each / 1024:.0f} | {ratio:.2f} |" for name, each, ratio in memory),
        "",
        "Requests one after the other on one connection:",
        "",
        "| | requests | p50, ms | p99, ms |",
        "| --- | ---: | ---: | ---: |",
        _row("cold, the load included", resident.cold),
        _row("warm", resident.warm),
        _row("more models than fit", evicting.times),
        "",
        found,
        "",
        "One model under load, one worker:",
        "",
        "| connections | single-model, requests/s | multi-model | time a request, x | p50, x |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {count} | {_rate(results.warm, 'single', count):,.0f} | "
            f"{_rate(results.warm, 'multi', count):,.0f} | {slower:.2f} | {p50:.2f} |"
            for count, slower, p50 in _slower(results.warm)
        ),
    ]
    if results.peers:
        lines += [
            "",
            "| server | models | MiB a model | load, ms |",
            "| --- | ---: | ---: | ---: |",
            *(
                f"| {peer.name} | {peer.models} | {peer.each / MIB:.2f} | {peer.load_ms:.0f} |"
                for peer in results.peers
            ),
        ]
    return "\n".join(lines)


def missed(results: Results) -> list[str]:
    """A sentence about each bar that was missed."""
    sentences = []
    ratio = results.resident.each / results.library
    if ratio > MEMORY:
        sentences.append(f"A model takes {ratio:.2f} times the library's memory, not {MEMORY:g}.")
    sentences += [
        f"At {count} connections a warm request costs {slower:.2f} times single-model mode's, "
        f"not {SLOWER:g}."
        for count, slower, _ in _slower(results.warm)
        if slower > SLOWER
    ]
    for other in results.peers[1:]:
        ours = results.peers[0]
        if ours.each > other.each or ours.load_ms > other.load_ms:
            sentences.append(f"{other.name} takes less memory for a model, or loads it faster.")
    return sentences


def _row(name: str, times: Times) -> str:
    return f"| {name} | {times.requests:,} | {times.p50_ms:.2f} | {times.p99_ms:.2f} |"


def _rate(warm: Sequence[Warm], mode: str, count: int) -> float:
    loads = [(each.single if mode == "single" else each.multi)[count] for each in warm]
    return median(load.requests / load.seconds for load in loads)


def _slower(warm: Sequence[Warm]) -> list[tuple[int, float, float]]:
    """By number of connections: how much longer a request takes, and its p50."""
    rows = []
    for count in warm[0].single:
        rate = _rate(warm, "single", count) / _rate(warm, "multi", count)
        p50 = median(each.multi[count].p50_ms / each.single[count].p50_ms for each in warm)
        rows.append((count, rate, p50))
    return rows
