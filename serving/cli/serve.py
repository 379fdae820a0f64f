"""``serving serve``: answer requests for a model, over HTTP or, on Lambda, as events."""

import argparse
import logging
from pathlib import Path

from serving import logs
from serving.cli.common import Environment, add_settings, given, read_settings
from serving.lasting import lasting
from serving.settings import Settings

log = logging.getLogger("serving")

RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"
"""The variable by which Lambda, or its emulator, tells a container where its events come from."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "model",
        nargs="?",
        help="model directory, archive or URL [/opt/ml/model, where SageMaker mounts it]",
    )
    add_settings(parser)


def run(options: argparse.Namespace, environment: Environment) -> int:
    """Serve until told to stop: events on Lambda, and HTTP wherever else.

    Raises:
        SettingError: a setting is not allowed.
        ArchiveError: there is no model, or it is refused.
        ModelLoadError: its requirements cannot be installed.
    """
    # Each host is imported where it serves: a function starts sooner without what it needs not.
    if environment.get(RUNTIME_API):
        from serving.hosts.aws_lambda import starting

        starting.run(**given(options))
        return 0
    settings = read_settings(options, environment)
    logs.configure(settings.log_level, settings.log_format)
    return SERVERS[settings.host](settings, environment)


def _http(settings: Settings, environment: Environment) -> int:
    with lasting():
        from serving.hosts.http.server import Server
    settings, folder = _prepared(settings, environment)
    with lasting():
        server = Server(settings, folder)
    server.run()
    return 0


def _mms(settings: Settings, environment: Environment) -> int:
    from serving.hosts.mms import server

    server.check(settings, environment)  # before a model is fetched
    return server.run(*_prepared(settings, environment), environment)


def _prepared(settings: Settings, environment: Environment) -> tuple[Settings, Path | None]:
    from serving import auth
    from serving.preparing import prepare

    settings, folder = prepare(settings, environment)
    if sentence := auth.advice(settings, environment):
        log.warning("%s", sentence)
    log.info("listening on %s:%d", settings.bind, settings.port)
    return settings, folder


SERVERS = {"http": _http, "mms": _mms}
"""What serves, by the setting `host`."""
