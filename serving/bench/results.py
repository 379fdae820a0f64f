"""What a run has found, as plain data: for JSON, the table and the page."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from serving import machine
from serving.bench.histogram import Histogram
from serving.bench.recorder import Recorder, Second

PERCENTILES = (50.0, 90.0, 99.0, 99.9)


def document(url: str, recorders: Sequence[Recorder]) -> dict[str, Any]:
    """All that is known of a run. Times are in milliseconds, rates are a second."""
    return {
        "url": url,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cpus": machine.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
        "stages": [stage(each) for each in recorders if each.stage.counts],
    }


def stage(recorder: Recorder) -> dict[str, Any]:
    """What was seen in one stage."""
    done, latencies = recorder.stage, recorder.latencies
    return {
        "stage": done.about,
        "open": done.open,
        "ramp": done.rate != done.end_rate,
        "seconds": done.seconds,
        "connections": done.connections,
        "offered": recorder.due / done.seconds,
        "answered": latencies.total / done.seconds,
        "requests": recorder.due,
        "statuses": {str(status): count for status, count in sorted(recorder.statuses.items())},
        "failures": dict(recorder.failures.most_common()),
        "latency": summary(latencies),
        "refusals": summary(recorder.refusals),
        "curve": [[share, _ms(seconds)] for share, seconds in latencies.curve()],
        "timeline": [_second(each) for each in recorder.seconds],
    }


def summary(latencies: Histogram) -> dict[str, float]:
    """Percentiles in milliseconds; empty if there was nothing."""
    if not latencies.total:
        return {}
    found = {f"p{percent:g}": _ms(latencies.percentile(percent)) for percent in PERCENTILES}
    return {**found, "max": _ms(latencies.longest)}


def table(results: dict[str, Any]) -> str:
    """The stages of a run for a terminal, as Markdown."""
    head, *others = rows(results["stages"])
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *others]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in lines
    )


def rows(stages: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The stages as rows of text, the names of the columns first."""
    names = [f"p{percent:g}" for percent in PERCENTILES]
    times = [f"{name}, ms" for name in (*names, "max")]
    found: list[tuple[str, ...]] = [("load", "offered, /s", "answered, /s", *times, "errors")]
    for each in stages:
        latency = each["latency"]
        times = [f"{latency[name]:.3f}" if latency else "-" for name in (*names, "max")]
        rates = (f"{each['offered']:,.0f}", f"{each['answered']:,.0f}")
        found.append((each["stage"], *rates, *times, errors(each) or "0"))
    return found


def errors(each: dict[str, Any]) -> str:
    """What went wrong in a stage, by kind; empty if nothing did."""
    bad = {
        status: count for status, count in each["statuses"].items() if not status.startswith("2")
    }
    kinds = {**{f"status {status}": count for status, count in bad.items()}, **each["failures"]}
    return ", ".join(f"{count:,} × {kind}" for kind, count in kinds.items())


def _second(each: Second) -> dict[str, float]:
    return {
        "due": each.due,
        "answered": each.latencies.total,
        "errors": each.errors,
        **summary(each.latencies),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 4)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - it is no file of ours
            names = [
                line.partition(":")[2].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
