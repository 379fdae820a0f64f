"""What hosts have in common that run inside somebody else's web server.

Such a server starts them without a command, so they read the environment themselves: when they are
started, and not when they are imported. It also decides what lies below which path, and how many
processes there are; unless SAGEMAKER_MODEL_SERVER_WORKERS says so, a host takes itself to be alone.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Protocol

from serving import auth, configuration, logs, problems
from serving.entry import State
from serving.errors import (
    ConfigurationError,
    ModelNotReady,
    NotImplementedByServer,
    ServingError,
    SettingError,
)
from serving.hosts import messages
from serving.preparing import prepare
from serving.settings import Settings
from serving.values import Headers, Response

log = logging.getLogger("serving")


class Beginning(Protocol):
    """The start of a host, under way or done: a future, of asyncio or of threads."""

    def done(self) -> bool:
        """Whether it has succeeded or failed."""

    def exception(self) -> BaseException | None:
        """Why it failed, once it is done."""


def check(variables: Mapping[str, str]) -> None:
    """Return if all of these are variables of settings. Raises SettingError if not."""
    known = {name for names in _names() for name in names}
    for name in variables.keys() - known:
        raise SettingError(f"{name} is no variable of a setting; `serving settings` lists them.")


def prepared(variables: Mapping[str, str], *, own_log: bool) -> tuple[Settings, Path | None]:
    """Make ready to serve what the environment says; ``variables`` win over it.

    Args:
        variables: Settings, as they would stand in the environment.
        own_log: The log of this process is for this server to set up, not for a site around it.

    Returns:
        As `preparing.prepare` does, which blocks too.

    Raises:
        ConfigurationError: as `preparing.prepare` does.
    """
    environment = _merged(os.environ, variables)
    settings = configuration.read(environment)
    settings = replace(settings, workers=settings.workers or 1)
    if own_log:
        logs.configure(settings.log_level, settings.log_format)
    settings, folder = prepare(settings, environment)
    if settings.keys and (sentence := auth.advice(settings, environment)):
        log.warning("%s", sentence)
    return settings, folder


def not_begun(beginning: Beginning) -> Response | None:
    """The answer to a request that comes before the host can take it; None: it can."""
    if not beginning.done():
        return problems.response(ModelNotReady("The server starts; try again later."))
    error = beginning.exception()
    if error is None:
        return None
    reason = str(error) if isinstance(error, ServingError) else "the log says why"
    return problems.response(ModelNotReady(f"The server could not start: {reason}"))


def check_body(headers: Headers, limit: int) -> None:
    """Decide by its head whether a request's body may come.

    Raises:
        PayloadTooLarge: it says that it is larger than the limit, in bytes.
        NotImplementedByServer: it has a coding besides the chunks, which some servers pass on.
    """
    coding = headers.get("transfer-encoding", "chunked")
    if coding.lower() != "chunked":
        raise NotImplementedByServer(
            f"Transfer-Encoding {coding!r} is not supported, only chunked."
        )
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise messages.body_too_large(limit)


def tell(error: BaseException) -> None:
    """Log why a host could not be started."""
    known = isinstance(error, ConfigurationError)
    log.error("the server could not start: %s", error, exc_info=None if known else error)


def told(state: State, reason: str) -> None:
    """Log what becomes of the model; what a process is for is not for a host to say."""
    if state is State.BROKEN:
        log.error("this process has to be replaced: %s", reason)


def _names() -> Iterator[tuple[str, ...]]:
    """The variables of each setting."""
    return (tuple(item.metadata["variables"]) for item in fields(Settings))


def _merged(environment: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Both, without the other names in the environment of what ``variables`` set."""
    hidden = {name for names in _names() if variables.keys() & set(names) for name in names}
    kept = {name: text for name, text in environment.items() if name not in hidden}
    return {**kept, **variables}
