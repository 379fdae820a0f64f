"""What multi-model-server runs for a model: the core, in each of the model's processes.

It is a handler service, as ``sagemaker_inference.model_server.start_model_server`` takes one by the
name of this module. The server calls :func:`handle` in one thread: first without requests, to load
the model, then with one request or, for a model that is registered with a batch size, with many.
"""

import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from serving import configuration, logs, problems
from serving.entry import State
from serving.errors import ModelLoadError, ServingError, UnsupportedMediaType
from serving.hosts import messages
from serving.hosts.background import Background
from serving.hosts.messages import Whole
from serving.machine import take_gpu
from serving.preparing import prepare
from serving.settings import Settings
from serving.values import Request

PHRASES = {status.value: status.phrase for status in HTTPStatus}

TAKEN_APART = ("multipart/form-data", "application/x-www-form-urlencoded")
"""Bodies of these types reach a handler as fields, not as they were sent."""

Inputs = Mapping[str, bytes | bytearray]
"""A request's body as ``body``, beside the parameters of its query."""


class Context(Protocol):
    """What the server tells of requests and takes of responses; ``mms.context.Context``."""

    metrics: Any
    """What a call has measured. The server reads its ``store`` when the answers have been sent."""

    @property
    def system_properties(self) -> Mapping[str, Any]:
        """Of the model: its ``model_dir``, ``gpu_id`` and ``batch_size``."""

    def get_all_request_header(self, idx: int) -> Mapping[str, Any]:
        """Header fields as they were sent, among the types of the inputs, which are mappings."""

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        """Set the status line of a response."""

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Set a header field of a response."""


class Handler:
    """The model of one process, from its load to its end."""

    _settings: Settings
    _site: Background
    _pool: ThreadPoolExecutor

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process = 0
        """The one that loaded the model; a fork of it has the model, but not its threads."""
        self._broken = False

    def load(self, properties: Mapping[str, Any]) -> None:
        """Load the model, and return when requests can be answered.

        They can be, with the reason, for the one model of a server that cannot be loaded.

        Raises:
            SettingError: a setting is not allowed.
            ModelLoadError: a model among many cannot be loaded, or its requirements cannot be
                installed. The server answers who registers it with 500.
        """
        if properties.get("gpu_id") is not None:
            take_gpu(properties["gpu_id"])
        given = configuration.read(self._environment)
        logs.configure(given.log_level, given.log_format)
        folder = str(Path(properties["model_dir"]).resolve())
        alone = replace(
            given, host="mms", model=folder, multi_model=False, repository="", workers=1
        )
        self._settings, path = prepare(alone, self._environment)
        _keep_metrics()
        self._site = Background(self._settings, path, self._hear)
        try:
            state, reason = self._site.settled(given.startup_timeout)
        except TimeoutError:
            state, reason = State.LOADING, f"The model did not load in {given.startup_timeout:g} s."
        if state is not State.READY and given.many:
            raise ModelLoadError(reason)
        self._pool = ThreadPoolExecutor(properties.get("batch_size") or 1, "mms")
        self._process = os.getpid()

    def handle(self, data: Sequence[Inputs], context: Context) -> list[bytes]:
        """The bodies of the answers to requests, in their order; the context takes the rest."""
        if self._process != os.getpid():
            self.load(context.system_properties)
        deadline = time.monotonic() + self._settings.request_timeout
        fields = [context.get_all_request_header(index) for index in range(len(data))]
        answers = list(self._pool.map(self._answer, data, fields, [deadline] * len(data)))
        for index, answer in enumerate(answers):
            context.set_response_status(answer.status, PHRASES.get(answer.status, ""), index)
            # In title case, since of a value named `content-type` the server counts the characters
            # and sends the bytes: one letter that is not ASCII, and no answer of it can be read.
            for name, value in messages.headers(answer.headers).items():
                context.set_response_header(index, name.title(), value)
        if self._broken:
            context.metrics = _Last()
        return [answer.body for answer in answers]

    def _answer(self, inputs: Inputs, fields: Mapping[str, Any], deadline: float) -> Whole:
        request = self._request(inputs, fields, deadline)
        if isinstance(request, ServingError):
            return _refusal(request)
        return self._site.ask_whole(request)

    def _request(
        self, inputs: Inputs, fields: Mapping[str, Any], deadline: float
    ) -> Request | ServingError:
        headers = messages.headers(_text(fields))
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in TAKEN_APART:
            return UnsupportedMediaType(
                f"multi-model-server takes a body of type {kind} apart; send it as another type."
            )
        body = bytes(inputs.get("body", b""))
        if len(body) > self._settings.max_body:
            return messages.body_too_large(self._settings.max_body)
        return Request("POST", "/invocations", headers, body, deadline=deadline)

    def _hear(self, state: State, _reason: str) -> None:
        self._broken = self._broken or state is State.BROKEN


class _Last:
    """Stands for what the last call of a process has measured, and ends it when that is read.

    The server reads it once the answers are on their way, and starts another process then.
    """

    @property
    def store(self) -> NoReturn:
        # A thread that does not return would keep the interpreter from ending in its own way.
        os._exit(1)


def _keep_metrics() -> None:
    """Let the server have what it measures of calls, which it reads from standard output."""
    logger = logging.getLogger("mms.service")
    logger.handlers = [logging.StreamHandler(sys.stdout)]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _text(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in fields.items() if isinstance(value, str))


def _refusal(error: ServingError) -> Whole:
    status, body, content_type, headers = problems.response(error)
    return Whole(status, messages.fields(status, content_type, headers), cast("bytes", body))


_handler = Handler(os.environ)


def handle(data: Sequence[Inputs] | None, context: Context) -> list[bytes] | None:
    """Answer requests; where there are none, load the model. This is what the server calls."""
    if data is None:
        _handler.load(context.system_properties)
        return None
    return _handler.handle(data, context)
