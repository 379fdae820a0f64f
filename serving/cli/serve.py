"""``serving serve``: answer requests for a model."""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from serving import auth, canary, footprint, logs, machine, requirements, runtime, workforce
from serving import environment as toolkits
from serving.auth import keyfile
from serving.cli.common import (
    Environment,
    add_settings,
    model_folder,
    read_settings,
    with_code,
)
from serving.hosts.http import server
from serving.settings import Settings

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
    logs.configure(settings.log_level, settings.log_format)
    for sentence in toolkits.unheeded(environment):
        log.warning("%s", sentence)
    runtime.check(settings)
    machine.raise_file_limit()
    if settings.keys:
        keyfile.read(Path(settings.keys))
    prepare = _prepare_many if settings.many else _prepare_one
    settings, folder = prepare(settings)
    if sentence := auth.advice(settings, environment):
        log.warning("%s", sentence)
    server.run(settings, folder)
    return 0


def _prepare_one(settings: Settings) -> tuple[Settings, Path]:
    folder = model_folder(settings.model_source, settings)
    settings = with_code(settings, folder)
    requirements.install(settings.code_folder(folder), settings.cache)
    canary.read(folder, settings)  # a wrong one ends start-up here, not each worker
    plan = workforce.plan(settings, workforce.size(folder), workforce.here())
    log.info("serving %s on %s:%d", folder, settings.bind, settings.port)
    log.info("workers: %d, %s", *plan)
    return replace(settings, workers=plan.workers), folder


def _prepare_many(settings: Settings) -> tuple[Settings, None]:
    """One worker owns the registry; models answer beside each other, each with one thread."""
    machine.set_region(settings.region)
    footprint.use_one_heap()  # the worker, which is forked, has it too
    where = settings.repository or "what is registered at /models"
    log.info("serving %s on %s:%d", where, settings.bind, settings.port)
    if settings.workers > 1:
        log.info("one worker serves all models; %d are not started", settings.workers - 1)
    return replace(settings, workers=1, threads=settings.threads or 1, code=""), None
