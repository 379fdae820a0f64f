"""The handler: an event and its context in, a reply out."""

import logging
import sys
import time
from pathlib import Path
from typing import Any, Protocol, cast

from serving import problems
from serving.entry import State
from serving.errors import ServingError
from serving.hosts import messages
from serving.hosts.alone import Alone
from serving.hosts.aws_lambda import events, limits, replies
from serving.hosts.aws_lambda.events import Shape
from serving.hosts.messages import Whole
from serving.settings import Settings
from serving.values import Request

log = logging.getLogger("serving")

MARGIN_SECONDS = 0.5
"""Time before the end of an invocation at which it is answered 504, so that the answer gets out."""

MARGIN_SHARE = 0.1
"""The same of an invocation that has little time, as a share of it."""

_REQUEST_ID = "x-amzn-requestid"


class Context(Protocol):
    """What the runtime client tells of an invocation, as far as it is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


class Host:
    """A Lambda function's handler, which answers one event at a time."""

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        """Begin to load the model in ``folder``, or the models of a server of many.

        Raises:
            SettingError: as Site does.
        """
        self._settings = settings
        self._broken = ""
        self._site = Alone(settings, folder, self._told)
        self.settled = self._site.settled
        """Waits until the model is loaded, or has failed to load."""
        self.close = self._site.close
        """Ends it, which Lambda never does."""

    def __call__(self, event: Any, context: Context) -> Any:
        """The reply to an event.

        Raises:
            FaultException: a direct invocation cannot be answered; has the error's type and
                message, which Lambda tells the caller.
            SystemExit: the model is broken; Lambda starts a new process.
        """
        if self._broken:
            log.error("this process ends, to be replaced: %s", self._broken)
            sys.exit(1)
        shape = events.shape(event)
        try:
            answer = self._site.ask_whole(self._request(event, shape, context))
            return replies.reply(shape, answer)
        except ServingError as error:
            return replies.reply(shape, _refusal(error))

    def _told(self, state: State, reason: str) -> None:
        if state is State.BROKEN:
            self._broken = reason

    def _request(self, event: Any, shape: Shape, context: Context) -> Request:
        request = events.request(event, shape, self._settings.base_path)
        size, most = len(request.body), replies.most(shape)
        if size > most:
            raise limits.too_large(size, most)
        if size > self._settings.max_body:
            raise messages.body_too_large(self._settings.max_body)
        headers = {_REQUEST_ID: context.aws_request_id, **request.headers}
        left = context.get_remaining_time_in_millis() / 1000
        left -= min(MARGIN_SECONDS, MARGIN_SHARE * left)
        deadline = time.monotonic() + min(left, self._settings.request_timeout)
        return request._replace(headers=headers, deadline=deadline)


def _refusal(error: ServingError) -> Whole:
    response = problems.response(error)
    return Whole.of(response, cast("bytes", response.body))
