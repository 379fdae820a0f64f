"""Requests to an application with a fake model, and its answers."""

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np

from serving.application import Application
from serving.values import Request, Response
from tests.support import Recorder

FOLDER = Path("/models/one")
SAMPLE = {"sample": np.ones((1, 1)), "merge_key": ""}
"""Facts that let the warm-up find out that a fake model is cheap."""

Opened = Callable[..., AbstractAsyncContextManager[Application]]


def send(application: Application, request: Request) -> Recorder:
    reply = Recorder()
    application.handle(request, reply)
    return reply


def ask(application: Application, request: Request) -> Awaitable[Response]:
    return send(application, request).answer()


def at_once(application: Application, request: Request) -> Response:
    """The answer, which is there before the call returns."""
    (answer,) = send(application, request).answers
    return answer


def problem(response: Response) -> tuple[int, str, str]:
    """Status, type and message of a refusal."""
    assert isinstance(response.body, bytes)
    assert response.content_type == "application/json"
    body = json.loads(response.body)
    assert body["code"] == response.status
    return response.status, body["type"], body["message"]
