"""``serving settings``: every setting, its value and where it came from."""

import argparse
from collections.abc import Iterator

from serving.cli.common import Environment, add_settings, given
from serving.configuration import Origin, explain
from serving.environment import INSTEAD

PAGE = """\
# Settings

Written by `serving settings --markdown`. `serving settings` prints each with the value that it has
where it is run, and where that comes from.

Of several variables for a setting the first that is set counts. One that is empty is not set. A
value that is not allowed ends start-up with a sentence about it.

| variable | takes | default | meaning |
|---|---|---|---|
{settings}

## What other servers read

These mean nothing here. One that is set is named in the log, with what to use in its place.

| variable | instead |
|---|---|
{instead}
"""

ON_THE_MACHINE = frozenset({"cache", "sessions_path"})
"""Settings whose default is found out where the server runs."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_settings(parser)
    parser.add_argument("--markdown", action="store_true", help="as the page in docs")


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Print them. Raises SettingError."""
    if options.markdown:
        print(markdown(), end="")
        return 0
    for origin in explain(environment, **given(options)):
        first, *others = origin.variables
        print(f"{first} = {origin.text or '(none)'}   [{origin.source}]")
        print(f"    {origin.meaning}")
        if others:
            print(f"    Also read: {', '.join(others)}.")
    return 0


def markdown() -> str:
    """The page about all settings."""
    rows = [row for origin in explain({}) for row in _rows(origin)]
    instead = [f"| `{name}` | {text[0].upper()}{text[1:]}. |" for name, text in INSTEAD.items()]
    return PAGE.format(settings="\n".join(rows), instead="\n".join(instead))


def _rows(origin: Origin) -> Iterator[str]:
    default = "" if origin.name in ON_THE_MACHINE or not origin.text else f"`{origin.text}`"
    facts = f"{default} | {origin.meaning} |"
    first = next(iter(origin.variables))
    for name, allowed in origin.variables.items():
        yield f"| `{name}` | {allowed} | {facts if name == first else f'| as `{first}` |'}"
