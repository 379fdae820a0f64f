"""Line plots as SVG that a page carries with it."""

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 32, 28, 44

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e")


class Line(NamedTuple):
    """A named series."""

    name: str
    points: Sequence[tuple[float, float]]
    """Where a value is NaN, the line is interrupted."""
    dots: bool = False
    """Whether each point is marked."""


class Axis(NamedTuple):
    """What an axis shows."""

    label: str
    ticks: Sequence[tuple[float, str]]
    """Values, with what is written there."""
    place: Callable[[float], float]
    """From a value to a share of the axis's length, from 0 to 1."""


def linear(label: str, most: float) -> Axis:
    """From 0 to a round number beyond ``most``."""
    step = _round_step(most or 1.0)
    count = max(1, math.ceil((most or 1.0) / step))
    ticks = [(number * step, f"{number * step:,.10g}") for number in range(count + 1)]
    return Axis(label, ticks, lambda value: value / (count * step))


def logarithmic(label: str, least: float, most: float) -> Axis:
    """Powers of ten around the values, which are above 0."""
    first = math.floor(math.log10(least))
    last = max(first + 1, math.ceil(math.log10(most)))
    ticks = [(10.0**power, f"{10.0**power:,.10g}") for power in range(first, last + 1)]
    return Axis(label, ticks, lambda value: (math.log10(value) - first) / (last - first))


def nines(label: str, most: int = 4) -> Axis:
    """Percentages, each further nine as far from the last: 0, 90, 99 and so on, ``most`` nines."""
    shares = [0.0, *(100 - 100 / 10**number for number in range(1, most + 1))]
    ticks = [(share, f"{share:g} %") for share in shares]

    def place(percent: float) -> float:
        return min(1.0, -math.log10(max(1 - percent / 100, 10.0**-most)) / most)

    return Axis(label, ticks, place)


def plot(lines: Sequence[Line], across: Axis, up: Axis) -> str:
    """An SVG element with all lines and their names."""
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    for value, text in up.ticks:
        y = _y(up.place(value))
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for value, text in across.ticks:
        x = _x(across.place(value))
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        y = HEIGHT - BOTTOM + 16
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{text}</text>')
    right, y = WIDTH - RIGHT, HEIGHT - 8
    parts.append(f'<text x="{right}" y="{y}" text-anchor="end">{escape(across.label)}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 12}">{escape(up.label)}</text>')
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        for known, run in groupby(line.points, lambda point: not math.isnan(point[1])):
            if known:
                places = [(_x(across.place(x)), _y(up.place(y))) for x, y in run]
                parts.append(_drawn(places, colour, dots=line.dots or len(places) == 1))
    names = "".join(
        f'<li style="--colour:{COLOURS[number % len(COLOURS)]}">{escape(line.name)}</li>'
        for number, line in enumerate(lines)
    )
    return f'{"".join(parts)}</svg><ul class="legend">{names}</ul>'


def _drawn(places: Sequence[tuple[float, float]], colour: str, *, dots: bool) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{colour}"/>' for x, y in places]
    return f'<polyline points="{points}" style="stroke:{colour}"/>{"".join(marks if dots else [])}'


def _x(share: float) -> float:
    return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)


def _round_step(most: float) -> float:
    """A round distance between ticks, of which four to ten reach ``most``."""
    power = 10.0 ** math.floor(math.log10(most / 4))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if most / (power * step) <= 6)
