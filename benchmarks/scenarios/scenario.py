"""A scenario as its file has it."""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.throughput import BenchmarkError
from serving.bench import plan
from serving.bench.plan import Stage
from serving.errors import ConfigurationError

FOLDER = Path(__file__).parent


class Signal(NamedTuple):
    """What the server is told in the midst of a load."""

    name: str
    """Of a signal of POSIX, without SIG. After a TERM the server is started again."""
    after: float
    """Seconds from the start of the first stage."""


class Variant(NamedTuple):
    """One load of a scenario."""

    name: str
    model: str
    """One of models.py."""
    server: dict[str, str]
    """Environment variables."""
    stages: tuple[Stage, ...]
    warm_up: Stage
    rows: int
    content_type: str
    zipf: float
    signals: tuple[Signal, ...]
    starts: int
    """How many times the start is measured; 0: it is not."""


class Scenario(NamedTuple):
    """A situation, in at least one variant."""

    name: str
    about: str
    variants: tuple[Variant, ...]


DEFAULTS: dict[str, Any] = {
    "about": "",
    "name": "",
    "model": "boosted",
    "server": {},
    "stages": [],
    "warm_up": "16 x 2s",
    "rows": 1,
    "content_type": "text/csv",
    "zipf": 0.0,
    "signals": [],
    "starts": 0,
    "variants": [{}],
}


def names() -> list[str]:
    """Those that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name: str) -> Scenario:
    """Read a scenario's file.

    Raises:
        BenchmarkError: it is not as it has to be; says where.
    """
    path = FOLDER / f"{name}.toml"
    try:
        return parse(name, path.read_text())
    except (tomllib.TOMLDecodeError, ConfigurationError, TypeError, KeyError) as error:
        raise BenchmarkError(f"{path.name}: {error}") from error


def parse(name: str, text: str) -> Scenario:
    """A scenario of this name. Raises ConfigurationError, or what is wrong in the text."""
    given = tomllib.loads(text)
    common = {**DEFAULTS, **given}
    variants = tuple(_variant({**common, **each}) for each in common["variants"])
    return Scenario(name, common["about"], variants)


def _variant(given: dict[str, Any]) -> Variant:
    unknown = given.keys() - DEFAULTS.keys()
    if unknown:
        raise ConfigurationError(
            f"{', '.join(sorted(unknown))} means nothing; {', '.join(DEFAULTS)} do."
        )
    return Variant(
        given["name"],
        given["model"],
        given["server"],
        tuple(plan.parse(stage) for stage in given["stages"]),
        plan.parse(given["warm_up"])._replace(counts=False),
        given["rows"],
        given["content_type"],
        given["zipf"],
        tuple(Signal(**signal) for signal in given["signals"]),
        given["starts"],
    )
