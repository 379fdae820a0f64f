"""The results of a run as one HTML page that needs nothing else: no script, no network."""

import json
import math
from html import escape
from typing import Any

from serving.bench import results
from serving.bench.plot import Axis, Line, linear, logarithmic, nines, plot

STYLE = """
:root { color-scheme: light dark; --faint: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: currentColor; }
.grid { stroke: var(--faint); fill: none; } polyline { fill: none; stroke-width: 1.8; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0; }
.legend li::before { content: ""; display: inline-block; width: 1rem; height: .2rem;
  margin-right: .4rem; vertical-align: middle; background: var(--colour); }
"""


def page(found: dict[str, Any]) -> str:
    """The page of the results, as `results.document` gives them.

    They may have a ``title`` and a sentence ``about`` the test besides.
    """
    machine = "{processor}, {cpus} CPUs, {system}, Python {python}".format(**found["machine"])
    title = found.get("title") or f"Load test of {found['url']}"
    about = f"<p>{escape(found['about'])}</p>" if "about" in found else ""
    stages = found["stages"]
    answered = [each for each in stages if each["latency"]]
    parts = [
        f"<h1>{escape(title)}</h1>{about}",
        f"<p>{escape(found['date'])}. The load came from {escape(machine)}.</p>",
        f'<div class="table">{_table(stages)}</div>',
        "<p>A request's time runs from when it was due to be sent.</p>",
    ]
    if len(points := _offered(stages)) > 1:
        parts += ["<h2>Answers against offered load</h2>", _throughput(points)]
    if answered:
        parts += ["<h2>Latency by percentile</h2>", _curves(answered)]
    if any(each["timeline"] for each in answered):
        parts += ["<h2>Latency over time</h2>", _timeline(stages)]
        parts += ["<h2>Requests over time</h2>", _rates(stages)]
    data = json.dumps(found).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f'<body>{"".join(parts)}<script type="application/json" id="results">{data}</script>'
        "</body></html>\n"
    )


def _table(stages: list[dict[str, Any]]) -> str:
    head, *rows = results.rows(stages)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>{body}</table>"


def _offered(stages: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Pairs of what was offered and what of that was answered well, a second, in open loops.

    A stage of one rate is one pair; one whose rate changes has a pair for each whole second.
    """
    points = []
    for each in stages:
        if each["open"] and each["ramp"]:
            whole = each["timeline"][: int(each["seconds"])]
            points += [(second["due"], second["answered"]) for second in whole]
        elif each["open"]:
            points.append((each["offered"], each["answered"]))
    return sorted(points)


def _throughput(points: list[tuple[float, float]]) -> str:
    most = max(max(point) for point in points)
    ideal = Line("all that was offered", [(0, 0), (most, most)])
    across, up = linear("offered, requests/s", most), linear("answered, a second", most)
    return plot([ideal, Line("answered", points, dots=True)], across, up)


def _curves(stages: list[dict[str, Any]]) -> str:
    lines = [
        Line(each["stage"], [(0.0, each["curve"][0][1]), *map(tuple, each["curve"])])
        for each in stages
    ]
    # Of a hundred answers, nobody knows the slowest in a thousand.
    answers = max(each["seconds"] * each["answered"] for each in stages)
    most = min(max(2, math.ceil(math.log10(max(answers, 1)))), 5)
    return plot(lines, nines("percentile", most), _milliseconds(lines))


def _timeline(stages: list[dict[str, Any]]) -> str:
    """Percentiles of each second, of all stages one after the other."""
    lines = [Line(name, _seconds(stages, name)) for name in ("p50", "p99", "max")]
    return plot(lines, _clock(stages), _milliseconds(lines))


def _rates(stages: list[dict[str, Any]]) -> str:
    """Requests of each second, and what became of them."""
    names = {"due": "due", "answered": "answered well", "errors": "refused or failed"}
    lines = [Line(text, _seconds(stages, name)) for name, text in names.items()]
    most = max(y for line in lines for _, y in line.points if not math.isnan(y))
    return plot(lines, _clock(stages), linear("requests in a second", most))


def _seconds(stages: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    """A figure of each second in the middle of it; NaN between stages, and where there is none."""
    points, start = [], 0.0
    for each in stages:
        for at, second in enumerate(each["timeline"]):
            points.append((start + at + 0.5, second.get(name, math.nan)))
        start += each["seconds"]
        points.append((start, math.nan))
    return points


def _clock(stages: list[dict[str, Any]]) -> Axis:
    total = sum(each["seconds"] for each in stages)
    return linear("seconds, by when requests were due", total)


def _milliseconds(lines: list[Line]) -> Axis:
    times = [y for line in lines for _, y in line.points if not math.isnan(y)]
    return logarithmic("milliseconds", max(min(times), 1e-3), max(times))
