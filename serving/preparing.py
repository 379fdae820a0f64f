"""All that happens before a host serves: what it is told, the model's files, its requirements.

It happens once for a server, before any of its processes is forked, so that a wrong setting or a
broken archive ends start-up with one line.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from serving import canary, footprint, machine, runtime, workforce
from serving import environment as toolkits
from serving.settings import Settings

log = logging.getLogger("serving")


def prepare(settings: Settings, environment: Mapping[str, str]) -> tuple[Settings, Path | None]:
    """Make ready to serve what the settings name.

    Returns:
        The settings with what was found out, such as the number of workers, and the folder of the
        one model; None for a server of many.

    Raises:
        SettingError: a setting is not allowed.
        ArchiveError: there is no model, or it is refused.
        ModelLoadError: its requirements cannot be installed.
    """
    for sentence in toolkits.unheeded(environment, settings.host):
        log.warning("%s", sentence)
    runtime.check(settings)
    machine.raise_file_limit()
    if settings.keys:
        from serving.auth import keyfile

        keyfile.read(Path(settings.keys))
    return _many(settings) if settings.many else _one(settings)


def model_folder(source: str, settings: Settings) -> Path:
    """The directory of the model at ``source``, fetched and unpacked where that is needed.

    Raises:
        ArchiveError: there is none, or it is refused.
    """
    machine.set_region(settings.region)
    if source and (folder := Path(source)).is_dir():
        return folder
    # Imported where something is fetched: Lambda and SageMaker hand over a folder.
    from serving import archives
    from serving.progress import Bar

    with Bar("Fetching the model") as progress:
        return archives.fetch(
            source, settings.cache, limit=settings.max_unpacked, progress=progress
        )


def with_code(settings: Settings, model: Path) -> Settings:
    """The settings with the folder of the user's script, fetched and unpacked if need be.

    Raises:
        ArchiveError: there is none, or it is refused.
    """
    if settings.code_folder(model) == model / "code":
        return settings
    return replace(settings, code=str(model_folder(settings.code, settings)))


def _one(settings: Settings) -> tuple[Settings, Path]:
    folder = model_folder(settings.model_source, settings)
    settings = with_code(settings, folder)
    _install_requirements(settings.code_folder(folder), settings)
    canary.read(folder, settings)  # a wrong one ends start-up here, not each worker
    plan = workforce.plan(settings, workforce.size(folder), workforce.here())
    log.info("serving %s", folder)
    log.info("workers: %d, %s", *plan)
    return replace(settings, workers=plan.workers), folder


def _install_requirements(code: Path, settings: Settings) -> None:
    if code.is_dir():  # imported where there may be any
        from serving import requirements

        requirements.install(code, settings.cache)


def _many(settings: Settings) -> tuple[Settings, None]:
    """One worker owns the registry; models answer beside each other, each with one thread."""
    machine.set_region(settings.region)
    footprint.use_one_heap()  # the worker, which is forked, has it too
    log.info("serving %s", settings.repository or "what is registered at /models")
    if settings.workers > 1:
        log.info("one worker serves all models; %d are not started", settings.workers - 1)
    return replace(settings, workers=1, threads=settings.threads or 1, code=""), None
