"""The function that CloudFront calls, with the model beside it.

Each Lambda environment answers one event at a time, in one thread: the core's event loop runs while
there is an event to answer, and stands still with the environment in between.
"""

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from serving import configuration, logs, problems
from serving.application import Application
from serving.entry import Entry
from serving.errors import NotFound
from serving.front import Front
from serving.hosts import messages
from serving.hosts.edge import events
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
        self._loop = asyncio.new_event_loop()
        application = Application(settings, self._loop, _no_metrics)
        self._front = Front(application, self._loop, settings)
        self._loop.run_until_complete(_load(application, model))

    def answer(self, event: Any, context: Any) -> dict[str, Any]:
        """The response to an event, whatever it is; raises nothing."""
        made = problems.attempt(self._answer, event, context)
        return _generated(made) if isinstance(made, Response) else made

    def close(self) -> None:
        """Let go of the model. Lambda never asks for that."""
        self._front.close()
        self._loop.close()

    def _answer(self, event: Any, context: Any) -> dict[str, Any]:
        asked = events.read(event, self._deadline(context))
        if len(asked.request.body) > self._settings.max_body:
            raise messages.body_too_large(self._settings.max_body)
        found = self._loop.run_until_complete(self._ask(asked))
        return _generated(found, asked.limit)

    async def _ask(self, asked: events.Asked) -> Response:
        """The answer, whole: a stream is collected."""
        response = await messages.answer(self._front.handle, asked.request)
        response, body = await messages.whole(response, asked.request.deadline)
        return response._replace(body=body)

    def _deadline(self, context: Any) -> float:
        seconds = self._settings.request_timeout
        if context is not None:
            left = context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
            seconds = min(seconds, left)
        return time.monotonic() + seconds


def _generated(found: Response, limit: int = events.SMALLEST) -> dict[str, Any]:
    fields = messages.fields(found.status, found.content_type, found.headers)
    body = found.body if isinstance(found.body, bytes) else b""
    return events.response(found.status, fields, body, limit)


async def _load(application: Application, model: Path) -> None:
    settled = asyncio.Event()

    def changed(_entry: Entry) -> None:
        settled.set()

    application.load(model, changed)
    await settled.wait()


def _no_metrics(_counts: Metrics) -> bytes:
    raise NotFound("There are no metrics at the edge; CloudWatch has those of the function.")
