"""How the text of a setting becomes its value, and back: whole numbers, seconds, sizes, choices."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

MIB = 1024 * 1024

NO_LIMIT = sys.maxsize
"""The size of what may be of any size."""

LEVELS = {
    "trace": 5,
    "debug": 10,
    "info": 20,
    "warning": 30,
    "warn": 30,
    "error": 40,
    "critical": 50,
    "fatal": 50,
}


class Kind(NamedTuple):
    """How the text of a setting becomes its value."""

    read: Callable[[str], Any]
    """Raises ValueError, KeyError or OverflowError for text that is not allowed."""
    allowed: str
    """What is allowed, for the error message."""
    write: Callable[[Any], str] = str
    """The text that is read as the value."""


def whole(low: int, high: int) -> Kind:
    """A whole number within bounds."""
    return Kind(_number(low, high, int), f"a whole number from {low:,} to {high:,}")


def seconds(low: float, high: float) -> Kind:
    """A time in seconds."""
    allowed = f"a number of seconds from {low:,} to {high:,}"
    return Kind(_number(low, high, float), allowed, lambda value: f"{value:g}")


def in_bytes(low: int, high: int) -> Kind:
    """A size in bytes."""
    return Kind(_number(low, high, int), f"a whole number of bytes from {low:,} to {high:,}")


def mebibytes(low: float, high: float) -> Kind:
    """A size in bytes, of a text in MiB."""
    read = _number(low, high, float)
    return Kind(
        lambda text: round(read(text) * MIB),
        f"a number of MiB from {low:,} to {high:,}",
        lambda value: f"{value / MIB:.12g}",
    )


def size_limit(kind: Kind) -> Kind:
    """A kind of size that 0 lifts."""
    return Kind(
        lambda text: NO_LIMIT if text.strip() == "0" else kind.read(text),
        f"{kind.allowed}, or 0: no limit",
        lambda value: "0" if value == NO_LIMIT else kind.write(value),
    )


def or_zero(kind: Kind) -> Kind:
    """A kind of number that may be 0 as well."""
    return Kind(
        lambda text: 0 if text.strip() == "0" else kind.read(text),
        f"{kind.allowed}, or 0",
        lambda value: kind.write(value) if value else "0",
    )


def choice(*names: str) -> Kind:
    """One of some words."""
    return Kind({name: name for name in names}.__getitem__, " or ".join(names))


def any_case(kind: Kind) -> Kind:
    """A kind whose text may have capitals."""
    return kind._replace(read=lambda text: kind.read(text.strip().lower()))


def _number(low: float, high: float, convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = convert(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return read


def _boolean(text: str) -> bool:
    return {
        "true": True,
        "1": True,
        "yes": True,
        "false": False,
        "0": False,
        "no": False,
    }[text.strip().lower()]


def _ports(text: str) -> range:
    first, last = map(_number(1, 65535, int), text.split("-"))
    if first > last:
        raise ValueError(text)
    return range(first, last + 1)


def _log_level(text: str) -> int:
    return LEVELS.get(text.strip().lower()) or int(text)


def _write_boolean(value: Any) -> str:
    return "true" if value else "false"


BOOLEAN = Kind(_boolean, "true or false", _write_boolean)
TEXT = Kind(str, "text")
PATH = Kind(Path, "a path")
PORTS = Kind(
    _ports,
    "two port numbers with a hyphen between, the lower one first, such as 9000-9999",
    lambda ports: f"{ports[0]}-{ports[-1]}" if ports else "",
)
LOG_LEVEL = Kind(_log_level, "a number (20 is info) or debug, info, warning, error")
ANYTHING = Kind(bool, "anything", lambda value: "true" if value else "")
