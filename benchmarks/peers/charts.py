"""The plots of a comparison, each an SVG file that needs nothing else."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from benchmarks.peers.summary import Cell, Row
from serving.bench.plot import COLOURS, Axis, linear, logarithmic

WIDTH, LEFT, RIGHT, TOP, LINE = 960, 280, 60, 56, 22
LABEL_HEIGHT = 13
STYLE = (
    "svg{background:#fff;font:12px system-ui,sans-serif}.grid{stroke:#ddd;fill:none}"
    ".line{fill:none;stroke-width:1.5}.ours{stroke-width:3.5}.limit{stroke-dasharray:4 3}"
    ".title{font-size:15px}.own{font-weight:bold}"
)

Draw = Callable[[str, Sequence[Row]], str]
"""From a title and the rows of a workload to an SVG document."""


def throughput(title: str, rows: Sequence[Row]) -> str:
    """Requests a second against connections, a line for each peer with its name at the end."""
    shown = [row for row in rows if row.cells]
    connections = sorted({each for row in shown for each in row.cells})
    rates = [cell.rate for row in shown for cell in row.cells.values()]
    height, left, right = 520, 80, 290
    up = logarithmic("requests/s", min(rates), max(rates))
    places = {
        each: left + (WIDTH - left - right) * (0.02 + 0.96 * number / max(1, len(connections) - 1))
        for number, each in enumerate(connections)
    }

    def y(rate: float) -> float:
        return height - 48 - (height - 48 - TOP) * up.place(rate)

    parts = [_text(left, 24, title, "title"), _text(left, TOP - 14, up.label)]
    for value, text in up.ticks:
        parts.append(f'<path class="grid" d="M{left} {y(value):.1f}H{WIDTH - right}"/>')
        parts.append(_text(left - 8, y(value) + 4, text, anchor="end"))
    for each, x in places.items():
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{height - 48}"/>')
        parts.append(_text(x, height - 30, str(each), anchor="middle"))
    parts.append(_text(WIDTH - right, height - 10, "connections", anchor="end"))
    ends = []
    for number, row in enumerate(shown):
        colour = _colour(row, number)
        points = [(places[each], y(cell.rate)) for each, cell in sorted(row.cells.items())]
        path = " ".join(f"{x:.1f},{at:.1f}" for x, at in points)
        parts.append(f'<polyline class="line {row.peer.role}" stroke="{colour}" points="{path}"/>')
        ends.append((points[-1][1], row, colour))
    for at, (_, row, colour) in _apart(sorted(ends, key=lambda end: end[0])):
        weight = "own" if row.peer.role == "ours" else ""
        parts.append(_text(WIDTH - right + 12, at + 4, row.peer.title, weight, fill=colour))
    return _document(height, parts)


def latency(title: str, rows: Sequence[Row]) -> str:
    """From the median to the 99th percentile, for each peer and number of connections."""
    shown = [row for row in rows if row.cells]
    connections = sorted({each for row in shown for each in row.cells})
    times = [time for row in shown for cell in row.cells.values() for time in _times(cell)]
    across = logarithmic("milliseconds, p50 (dot) to p99", max(min(times), 1e-3), max(times))
    tall = LINE + 8 * (len(connections) - 1)
    parts, height = _frame(title, across, [row.peer.title for row in shown], tall)
    for number, row in enumerate(shown):
        for index, each in enumerate(connections):
            if (cell := row.cells.get(each)) is None:
                continue
            y = TOP + tall * number + 12 + 8 * index
            low, high = (_x(across, time) for time in _times(cell))
            colour = COLOURS[index % len(COLOURS)]
            parts.append(
                f'<path stroke="{colour}" stroke-width="3" d="M{low:.1f} {y}H{high:.1f}"/>'
            )
            parts.append(f'<circle cx="{low:.1f}" cy="{y}" r="4" fill="{colour}"/>')
    for index, each in enumerate(connections):
        text = f"{each} connection{'' if each == 1 else 's'}"
        parts.append(
            _text(
                WIDTH - RIGHT - 110 * (len(connections) - index),
                TOP - 14,
                text,
                fill=COLOURS[index % len(COLOURS)],
            )
        )
    return _document(height, parts)


def memory(title: str, rows: Sequence[Row]) -> str:
    """The memory of each peer at its most connections."""
    shown = [row for row in rows if row.cells]
    sizes = [row.cells[max(row.cells)].memory_mib for row in shown]
    across = linear("MiB", max(sizes))
    parts, height = _frame(title, across, [row.peer.title for row in shown], LINE)
    for number, (row, size) in enumerate(zip(shown, sizes, strict=True)):
        y, end = TOP + LINE * number + 4, _x(across, size)
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{LINE - 8}" '
            f'fill="{_colour(row, 1)}"/>'
        )
        parts.append(_text(end + 6, y + 11, f"{size:,.0f}"))
    return _document(height, parts)


def _times(cell: Cell) -> tuple[float, float]:
    return cell.p50_ms, cell.p99_ms


def _colour(row: Row, number: int) -> str:
    """Ours is the only one of its colour."""
    others = COLOURS[:2] + COLOURS[3:]
    return COLOURS[2] if row.peer.role == "ours" else others[number % len(others)]


def _apart(
    ends: Sequence[tuple[float, Row, str]],
) -> Iterator[tuple[float, tuple[float, Row, str]]]:
    """Heights for labels in order, none over another."""
    lowest = -math.inf
    for end in ends:
        lowest = max(end[0], lowest + LABEL_HEIGHT)
        yield lowest, end


def _frame(title: str, across: Axis, names: Sequence[str], tall: int) -> tuple[list[str], int]:
    """A grid with a line for each name, and the height of the whole."""
    bottom = TOP + tall * len(names)
    parts = [_text(LEFT, 24, title, "title")]
    for value, text in across.ticks:
        x = _x(across, value)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>')
        parts.append(_text(x, bottom + 16, text, anchor="middle"))
    for number, name in enumerate(names):
        y = TOP + tall * number + tall / 2 + 4
        parts.append(_text(LEFT - 10, y, name, anchor="end"))
    parts.append(_text(WIDTH - RIGHT, bottom + 34, across.label, anchor="end"))
    return parts, bottom + 44


def _x(axis: Axis, value: float) -> float:
    return LEFT + min(max(axis.place(value), 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _text(
    x: float, y: float, text: str, kind: str = "", anchor: str = "start", fill: str = "#222"
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(text)}</text>'
    )


def _document(height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img"><style>{STYLE}</style>'
        f"{''.join(parts)}</svg>\n"
    )
