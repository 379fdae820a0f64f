"""``serving settings``: every setting, its value and where it came from."""

import argparse

from serving.cli.common import Commands, Environment, add_command, add_settings, given
from serving.settings import explain


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "settings", "print every setting, its value and its source")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Print them. Raises SettingError."""
    for origin in explain(environment, **given(options)):
        value = origin.value if str(origin.value) else "(none)"
        print(f"{' or '.join(origin.variables)} = {value}   [{origin.source}]")
        print(f"    {origin.meaning}")
    return 0
