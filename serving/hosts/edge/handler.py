"""The function that CloudFront calls, with the model beside it.

Each Lambda environment answers one event at a time, in one thread, and stands still in between.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from serving import configuration, logs, problems
from serving.errors import NotFound
from serving.hosts import messages
from serving.hosts.alone import Alone
from serving.hosts.edge import events
from serving.hosts.messages import Whole
from serving.metrics import Metrics
from serving.settings import Settings
from serving.values import Response

SETTINGS, MODEL = "settings.json", "model"
"""What lies beside the function: its settings, as environment variables would be, and the model's
folder."""

FILES = ("keys", "endpoints")
"""Settings that name files, which lie there as well."""

MARGIN_SECONDS = 0.25
"""Before Lambda ends the call, the answer that it took too long has to be out."""


def load(folder: Path) -> "Edge":
    """What answers for the package in ``folder``, with its model loaded.

    A model that does not load is an answer to every request, as on other hosts.

    Raises:
        SettingError: a setting in the package is not allowed.
    """
    variables = json.loads((folder / SETTINGS).read_text())
    settings = configuration.read(variables, workers=1, threads=1)
    files: dict[str, Any] = {
        name: str(folder / file) for name in FILES if (file := getattr(settings, name))
    }
    settings = replace(settings, **files)
    logs.configure(settings.log_level, settings.log_format)
    return Edge(settings, folder / MODEL)


class Edge:
    """A model that answers events."""

    def __init__(self, settings: Settings, model: Path) -> None:
        """Load it."""
        self._settings = settings
        self._site = Alone(settings, model, exposition=_no_metrics)
        self._site.settled()
        self.close = self._site.close
        """Lets go of the model. Lambda never asks for that."""

    def answer(self, event: Any, context: Any) -> dict[str, Any]:
        """The response to an event, whatever it is; raises nothing."""
        made = problems.attempt(self._answer, event, context)
        return _generated(_whole(made)) if isinstance(made, Response) else made

    def _answer(self, event: Any, context: Any) -> dict[str, Any]:
        asked = events.read(event, self._deadline(context))
        if len(asked.request.body) > self._settings.max_body:
            raise messages.body_too_large(self._settings.max_body)
        return _generated(self._site.ask_whole(asked.request), asked.limit)

    def _deadline(self, context: Any) -> float:
        seconds = self._settings.request_timeout
        if context is not None:
            left = context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
            seconds = min(seconds, left)
        return time.monotonic() + seconds


def _whole(refusal: Response) -> Whole:
    return Whole.of(refusal, cast("bytes", refusal.body))


def _generated(found: Whole, limit: int = events.SMALLEST) -> dict[str, Any]:
    return events.response(found.status, found.headers, found.body, limit)


def _no_metrics(_counts: Metrics) -> bytes:
    raise NotFound("There are no metrics at the edge; CloudWatch has those of the function.")
