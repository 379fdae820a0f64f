"""A shadow variant: it is asked what its endpoint is asked, and its answers are only recorded.

It is asked when the client has its answer, and about a few requests at once at most: nothing that
happens here can delay or change what the client gets, short of the model's own appetite for CPUs.

A record is a line of JSON in the form in which SageMaker captures data, so that what reads that
reads this; its ``eventId`` is the request id that the client was given. It has besides what a
comparison of two models needs: the status of the answer and the time it took.
"""

import base64
import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import orjson

from serving import sessions
from serving.call import Handler
from serving.lane import Lane
from serving.runtime.answers import Start, succeeded
from serving.runtime.asking import ask
from serving.runtime.endpoints import Shadow
from serving.runtime.faults import of_answer, passes
from serving.runtime.routing import TARGET_MODEL, choosing
from serving.values import Request, Response

log = logging.getLogger("serving")

MOST_AT_ONCE = 16
"""Requests that a shadow variant works on, or that wait to be recorded; further ones it skips."""

BUSY = 503
"""The status of a production variant's answer, where the server has enough to do without this."""

ENCODINGS = {"text/csv": "CSV", "application/json": "JSON"}
"""How a body is recorded, by media type; all else, and what is no text, in base64."""


class Event(NamedTuple):
    """A request as the shadow variant gets it, and what the client knows it by."""

    request: Request
    request_id: str


class Tools(NamedTuple):
    """What the recorders of a server share."""

    handle: Handler
    """The core."""
    start: Start
    lane: Lane
    """The thread that writes."""
    chance: Callable[[], float]
    """A random number from 0 to 1, less than 1."""
    timeout: float
    """Seconds an answer may take."""


class Recorder:
    """Asks the shadow variant of one endpoint and writes down its answers."""

    def __init__(self, endpoint: str, shadow: Shadow, tools: Tools) -> None:
        self._shadow = shadow
        self._tools = tools
        self._folder = shadow.folder / endpoint / shadow.name
        self._about = {"endpointName": endpoint, "variantName": shadow.name}
        self._file = f"{uuid.uuid4()}.jsonl"
        self._at_once = 0
        self._failing = False

    def offer(self, event: Event, answer: Response) -> None:
        """Take a request that the client has its answer to; or leave it.

        It is left where the server is busy, where chance wants it, and where it opens or uses a
        session: that has one model only.
        """
        free = answer.status != BUSY and self._at_once < MOST_AT_ONCE
        if free and not _in_session(event.request) and self._tools.chance() < self._shadow.share:
            self._at_once += 1
            self._tools.start(self._record(event))

    async def _record(self, event: Event) -> None:
        request, began = event.request, time.monotonic()
        headers = {name: value for name, value in request.headers.items() if name != TARGET_MODEL}
        headers |= choosing(self._shadow.model)
        deadline = began + self._tools.timeout
        asked = request._replace(headers=headers, deadline=deadline)
        answer, body = await ask(self._tools.handle, asked)
        if not succeeded(answer) and passes(of_answer(answer, body)):
            self._at_once -= 1
            return
        seconds = round(time.monotonic() - began, 6)
        outcome = {**self._about, "status": answer.status, "seconds": seconds}
        line = orjson.dumps({**record(event, answer, body), "shadow": outcome}) + b"\n"
        self._tools.lane.run(partial(self._write, line), self._written)

    def _write(self, line: bytes) -> OSError | None:
        hour = datetime.now(UTC).strftime("%Y/%m/%d/%H")
        try:
            folder = self._folder / hour
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / self._file).open("ab") as file:
                file.write(line)
        except OSError as error:
            return error
        return None

    def _written(self, error: OSError | None) -> None:
        self._at_once -= 1
        if error is not None and not self._failing:
            log.error("answers of a shadow variant are lost: %s", error)
        self._failing = error is not None


def _in_session(request: Request) -> bool:
    wish = len(request.body) <= sessions.MAX_WISH and b'"requestType"' in request.body
    return wish or sessions.HEADER in request.headers


def record(event: Event, answer: Response, body: bytes) -> dict[str, Any]:
    """A capture record: the request, the answer, and what they are known by."""
    request, request_id = event
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"eventId": request_id, "inferenceTime": now}
    inference_id = request.headers.get("x-amzn-sagemaker-inference-id")
    if inference_id:
        about["inferenceId"] = inference_id
    return {
        "captureData": {
            "endpointInput": _data("INPUT", request.headers.get("content-type", ""), request.body),
            "endpointOutput": _data("OUTPUT", answer.content_type, body),
        },
        "eventMetadata": about,
        "eventVersion": "0",
    }


def _data(mode: str, content_type: str, body: bytes) -> dict[str, str]:
    encoding = ENCODINGS.get(content_type.partition(";")[0].strip().lower(), "BASE64")
    try:
        data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
    except UnicodeDecodeError:
        encoding, data = "BASE64", base64.b64encode(body).decode()
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": data,
        "encoding": encoding,
    }
