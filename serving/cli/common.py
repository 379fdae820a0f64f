"""What commands share."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving import archives
from serving import settings as settings_module
from serving.progress import Bar
from serving.settings import Settings

Environment = Mapping[str, str]


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand for settings."""
    parser.add_argument("--bind", metavar="ADDRESS", help="address to listen on [0.0.0.0]")
    parser.add_argument("--port", help="port to listen on; 0: any that is free [8080]")
    parser.add_argument("--workers", metavar="N", help="worker processes [the CPUs there are]")


def read_settings(options: argparse.Namespace, environment: Environment) -> Settings:
    """The settings, those given as options first. Raises SettingError."""
    return settings_module.read(environment, **given(options))


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The options that stand for settings, by the settings' names. Raises SettingError."""
    values: dict[str, Any] = {}
    for name in ("model", "bind", "port", "workers"):
        text = getattr(options, name, None)
        if text is not None:
            values[name] = settings_module.parse(name, f"--{name}", text)
    return values


def model_folder(source: str, settings: Settings) -> Path:
    """The directory of the model at ``source``, fetched and unpacked where that is needed.

    Raises:
        ArchiveError: there is none, or it is refused.
    """
    with Bar("Fetching the model") as progress:
        return archives.fetch(
            source, settings.cache, limit=settings.max_unpacked, progress=progress
        )
