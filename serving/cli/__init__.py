"""The command line: ``serving``, and ``serve``, which is what SageMaker calls.

A command is a module here with ``configure``, which adds its arguments to a parser, and ``run``,
which returns the exit status. Only the module of the command that runs is imported: an image's
health check calls ``serving ping`` every few seconds.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from serving import __version__
from serving.errors import ConfigurationError

COMMANDS = {
    "serve": "serve a model over HTTP",
    "pack": "make a model.tar.gz of a model directory",
    "compile": "make a model directory that is faster, or for other hardware",
    "edge": "make a package for Lambda@Edge of a model",
    "inspect": "say what a model is, takes and gives",
    "settings": "print every setting, its value and its source",
    "bench": "find out how much load a server takes",
    "recommend": "find the settings with which a model takes the most load",
    "invoke": "ask a server for a prediction",
    "ping": "ask the server on this machine whether it is healthy",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 2 for what the caller has to change."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="serving",
        description="Serve a model package: as a SageMaker endpoint, or a web server of your own.",
        epilog="serving COMMAND --help says more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"hybrid-serving {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
        )
        if name in arguments[:1]:
            module = importlib.import_module(f"serving.cli.{name}")
            module.configure(command)
            command.set_defaults(run=module.run)
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


def main_serve(arguments: Sequence[str] | None = None) -> int:
    """``serve ...`` is ``serving serve ...``."""
    return main(["serve", *(sys.argv[1:] if arguments is None else arguments)])
