"""The results of a run as one HTML page that needs nothing else: no script, no network."""

import json
from html import escape
from typing import Any

from serving.bench import results
from serving.bench.plot import Line, linear, logarithmic, nines, plot

STYLE = """
:root { color-scheme: light dark; --faint: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child, td:last-child { text-align: left; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: currentColor; }
.grid { stroke: var(--faint); fill: none; } polyline { fill: none; stroke-width: 1.8; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0; }
.legend li::before { content: ""; display: inline-block; width: 1rem; height: .2rem;
  margin-right: .4rem; vertical-align: middle; background: var(--colour); }
"""


def page(found: dict[str, Any]) -> str:
    """The page of the results, as `results.document` gives them."""
    machine = "{processor}, {cpus} CPUs, {system}, Python {python}".format(**found["machine"])
    stages = found["stages"]
    answered = [each for each in stages if each["latency"]]
    parts = [
        f"<h1>Load test of {escape(found['url'])}</h1>",
        f"<p>{escape(found['date'])}. The load came from {escape(machine)}.</p>",
        f'<div class="table">{_table(stages)}</div>',
        "<p>A request's time runs from when it was due to be sent.</p>",
    ]
    if len(opened := [each for each in stages if each["open"]]) > 1:
        parts += ["<h2>Answers against offered load</h2>", _throughput(opened)]
    if answered:
        parts += ["<h2>Latency by percentile</h2>", _curves(answered)]
    if any(each["timeline"] for each in answered):
        parts += ["<h2>Latency over time</h2>", _timeline(answered)]
    data = json.dumps(found).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Load test of {escape(found['url'])}</title><style>{STYLE}</style>"
        f'<body>{"".join(parts)}<script type="application/json" id="results">{data}</script>'
        "</body></html>\n"
    )


def _table(stages: list[dict[str, Any]]) -> str:
    head, *rows = results.rows(stages)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>{body}</table>"


def _throughput(stages: list[dict[str, Any]]) -> str:
    points = sorted((each["offered"], each["answered"]) for each in stages)
    most = max(max(point) for point in points)
    ideal = Line("all that was offered", [(0, 0), (most, most)])
    across, up = linear("offered, requests/s", most), linear("answered, a second", most)
    return plot([ideal, Line("answered", points)], across, up)


def _curves(stages: list[dict[str, Any]]) -> str:
    lines = [
        Line(each["stage"], [(0.0, each["curve"][0][1]), *map(tuple, each["curve"])])
        for each in stages
    ]
    return plot(lines, nines("percentile"), _milliseconds(lines))


def _timeline(stages: list[dict[str, Any]]) -> str:
    """Percentiles of each second, of all stages one after the other."""
    lines = []
    for name in ("p50", "p99", "max"):
        points, start = [], 0.0
        for each in stages:
            seconds = enumerate(each["timeline"])
            points += [(start + at, second[name]) for at, second in seconds if name in second]
            start += each["seconds"]
        lines.append(Line(name, points))
    total = sum(each["seconds"] for each in stages)
    return plot(lines, linear("seconds, by when requests were due", total), _milliseconds(lines))


def _milliseconds(lines: list[Line]) -> Any:
    times = [y for line in lines for _, y in line.points]
    return logarithmic("milliseconds", max(min(times), 1e-3), max(times))
