"""The command line: ``serving``, and ``serve``, which is what SageMaker calls."""

import argparse
import os
import sys
from collections.abc import Sequence

from serving import __version__
from serving.cli import inspect, pack, ping, settings
from serving.cli import serve as serve_command
from serving.errors import ConfigurationError

COMMANDS = (serve_command, pack, inspect, settings, ping)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 2 for what the caller has to change."""
    parser = argparse.ArgumentParser(
        prog="serving",
        description="Serve a model package: as a SageMaker endpoint, or a web server of your own.",
        epilog="serving COMMAND --help says more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"hybrid-serving {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options, os.environ)
    except ConfigurationError as error:
        print(f"serving: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read us has left
        return 1
    return status


def serve(arguments: Sequence[str] | None = None) -> int:
    """``serve ...`` is ``serving serve ...``."""
    return main(["serve", *(sys.argv[1:] if arguments is None else arguments)])
