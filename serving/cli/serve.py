"""``serving serve``: answer requests for a model."""

import argparse
import logging

from serving import logs, requirements
from serving.cli.common import (
    Environment,
    add_settings,
    model_folder,
    read_settings,
)
from serving.hosts.http import server

log = logging.getLogger("serving")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "model",
        nargs="?",
        help="model directory, archive or URL [/opt/ml/model, where SageMaker mounts it]",
    )
    add_settings(parser)


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Serve until told to stop.

    Raises:
        SettingError: a setting is not allowed.
        ArchiveError: there is no model, or it is refused.
        ModelLoadError: its requirements cannot be installed.
    """
    settings = read_settings(options, environment)
    logs.configure(settings.log_level)
    folder = model_folder(settings.model_source, settings)
    requirements.install(folder, settings.cache)
    log.info("serving %s on %s:%d", folder, settings.bind, settings.port)
    server.run(settings, folder)
    return 0
