"""Settings from a mapping that is passed in: read once, into one frozen object."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, NamedTuple

from serving.errors import SettingError
from serving.kinds import Kind
from serving.settings import Settings


class Origin(NamedTuple):
    """A setting as it stands, and why."""

    name: str
    value: Any
    text: str
    """The value as the first of the variables takes it."""
    source: str
    """``command line``, the variable's name, or ``default``."""
    variables: Mapping[str, str]
    """What each of its variables takes."""
    meaning: str


def read(environment: Mapping[str, str], **given: Any) -> Settings:
    """Settings from an environment; ``given`` are the command line's, and win over it.

    Raises:
        SettingError: a variable's value is not allowed; names it, the value and what is allowed.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for item in fields(Settings):
        name = _variable(item, environment)
        if name and item.name not in values:
            values[item.name] = _read(_variables(item)[name], name, environment[name])
    settings = Settings(**values)
    if settings.min_workers > settings.max_workers:
        raise SettingError(
            f"SAGEMAKER_TS_MIN_WORKERS={settings.min_workers} is more than "
            f"SAGEMAKER_TS_MAX_WORKERS={settings.max_workers}."
        )
    return settings


def parse(setting: str, name: str, text: str) -> Any:
    """The value of a setting from text that came under another name, such as an option's.

    Raises:
        SettingError: the value is not allowed.
    """
    known = {item.name: item.metadata["kind"] for item in fields(Settings)}
    return _read(known[setting], name, text)


def explain(environment: Mapping[str, str], **given: Any) -> list[Origin]:
    """Every setting with its value and where it came from. Raises as :func:`read` does."""
    settings = read(environment, **given)
    origins = []
    for item in fields(Settings):
        source = _variable(item, environment) or "default"
        if given.get(item.name) is not None:
            source = "command line"
        value = getattr(settings, item.name)
        text = item.metadata["kind"].write(value)
        allowed = {name: kind.allowed for name, kind in _variables(item).items()}
        origins.append(Origin(item.name, value, text, source, allowed, item.metadata["meaning"]))
    return origins


def _variables(item: "Field[Any]") -> dict[str, Kind]:
    variables: dict[str, Kind] = item.metadata["variables"]
    return variables


def _variable(item: "Field[Any]", environment: Mapping[str, str]) -> str | None:
    return next((name for name in _variables(item) if environment.get(name, "") != ""), None)


def _read(kind: Kind, name: str, text: str) -> Any:
    try:
        return kind.read(text)
    except (ValueError, KeyError, OverflowError):
        raise SettingError(f"{name}={text!r} is not allowed; it takes {kind.allowed}.") from None
