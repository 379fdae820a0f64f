"""``serving serve``: answer requests for a model."""

import argparse
import logging

from serving import logs
from serving.cli.common import (
    Commands,
    Environment,
    add_command,
    add_settings,
    model_folder,
    read_settings,
)
from serving.hosts.http import server

log = logging.getLogger("serving")


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "serve", "serve a model over HTTP")
    parser.add_argument(
        "model",
        nargs="?",
        help="model directory, archive or URL [/opt/ml/model, where SageMaker mounts it]",
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Serve until told to stop.

    Raises:
        SettingError: a setting is not allowed.
        ArchiveError: there is no model, or it is refused.
    """
    settings = read_settings(options, environment)
    logs.configure(settings.log_level)
    folder = model_folder(settings.model_source, settings)
    log.info("serving %s on %s:%d", folder, settings.bind, settings.port)
    server.run(settings, folder)
    return 0
