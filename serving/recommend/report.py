"""What was found, as text: the settings to paste, the evidence, and what it costs."""

import shlex
from collections.abc import Mapping, Sequence

from serving.recommend.search import Candidate, Trial
from serving.recommend.trial import Level, best_level

HOUR = 3600.0
MILLION = 1e6


def text(
    leader: Trial,
    tried: Sequence[Trial],
    found: Mapping[Candidate, Sequence[Level]],
    *,
    limit: float,
    price: float,
    notes: Sequence[str] = (),
) -> str:
    """All of it, as Markdown.

    Args:
        leader: The best.
        tried: All.
        found: The loads of each.
        limit: Of the p99, in seconds.
        price: Of an instance, an hour; 0: not known.
        notes: Sentences between the settings and the evidence.
    """
    level = best_level(found[leader.candidate], limit)
    if level is None:
        nearest = min(found[leader.candidate], key=lambda each: each.p99)
        told = f"No settings keep the p99 within {limit * 1e3:g} ms; the nearest, {_about(nearest)}"
    else:
        told = f"{level.rate:,.0f} predictions/s, {_about(level)}"
    parts = [f"{told}:"]
    parts += ["", *(f"    {name}={_quoted(value)}" for name, value in leader.candidate), ""]
    if level is not None and price:
        cost = price / (level.rate * HOUR) * MILLION
        parts += [f"At {price:g} an hour, a million predictions cost {cost:.4f}.", ""]
    if notes:
        parts += [*notes, ""]
    return "\n".join([*parts, _table(tried, found, limit)])


def _quoted(value: str) -> str:
    """A value as a shell takes it; an empty one as files of variables take it, too."""
    return value and shlex.quote(value)


def _about(level: Level) -> str:
    return (
        f"with {level.connections} connections, p50 {level.p50 * 1e3:.2f} ms, "
        f"p99 {level.p99 * 1e3:.2f} ms"
    )


def _table(tried: Sequence[Trial], found: Mapping[Candidate, Sequence[Level]], limit: float) -> str:
    """Every candidate with its best load, or with that of the lowest p99 if none is good."""
    head = ["settings", "connections", "predictions/s", "p50, ms", "p99, ms", "errors", "trial"]
    lines = [head, ["---", *["---:"] * 5, "---"]]
    for trial in sorted(tried, key=lambda each: -each.score):
        levels = found[trial.candidate]
        level = best_level(levels, limit) or min(levels, key=lambda each: each.p99)
        lines.append(
            [
                ", ".join(f"{name}={value}" for name, value in trial.candidate),
                str(level.connections),
                f"{level.rate:,.0f}",
                f"{level.p50 * 1e3:.2f}",
                f"{level.p99 * 1e3:.2f}",
                str(level.errors),
                "long" if trial.whole else "short",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
