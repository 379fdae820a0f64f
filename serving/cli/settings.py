"""``serving settings``: every setting, its value and where it came from."""

import argparse

from serving.cli.common import Environment, add_settings, given
from serving.settings import explain


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_settings(parser)


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Print them. Raises SettingError."""
    for origin in explain(environment, **given(options)):
        value = origin.value if str(origin.value) else "(none)"
        print(f"{' or '.join(origin.variables)} = {value}   [{origin.source}]")
        print(f"    {origin.meaning}")
    return 0
