"""``serving serve``: answer requests for a model."""

import argparse
import logging

from serving import auth
from serving.cli.common import Environment, add_settings, read_settings
from serving.hosts.http import server
from serving.preparing import prepare

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
    settings, folder = prepare(read_settings(options, environment), environment)
    if sentence := auth.advice(settings, environment):
        log.warning("%s", sentence)
    log.info("listening on %s:%d", settings.bind, settings.port)
    server.run(settings, folder)
    return 0
