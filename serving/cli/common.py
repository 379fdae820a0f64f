"""What commands share."""

import argparse
from collections.abc import Mapping
from typing import Any

from serving import configuration
from serving.settings import Settings

Environment = Mapping[str, str]


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand for settings."""
    parser.add_argument("--bind", metavar="ADDRESS", help="address to listen on [0.0.0.0]")
    parser.add_argument("--port", help="port to listen on; 0: any that is free [8080]")
    parser.add_argument(
        "--workers", metavar="N", help="worker processes [one for each GPU or else CPU]"
    )


def read_settings(options: argparse.Namespace, environment: Environment) -> Settings:
    """The settings, those given as options first. Raises SettingError."""
    return configuration.read(environment, **given(options))


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The options that stand for settings, by the settings' names. Raises SettingError."""
    values: dict[str, Any] = {}
    for name in ("model", "bind", "port", "workers"):
        text = getattr(options, name, None)
        if text is not None:
            values[name] = configuration.parse(name, f"--{name}", text)
    return values
