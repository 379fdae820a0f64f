"""A canary: a stored request that the server asks its own model now and then.

That a model was loaded does not say that it still answers. With a canary, /ping is as good as the
last answer to a real request.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from serving.errors import ModelNotReady, ServingError, SettingError
from serving.media import BY_SUFFIX
from serving.settings import Settings
from serving.values import Request, Response

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("serving")

MAX_WORDS = 300
"""Most characters of a failed answer that /ping repeats."""


def read(folder: Path, settings: Settings) -> Request | None:
    """The stored request of the model in ``folder``; None where the settings name none.

    Raises:
        SettingError: there is no such file, it is empty, or nothing says its media type.
    """
    if not settings.canary:
        return None
    path = folder / settings.canary
    named = f"SERVING_CANARY={settings.canary!r}"
    content_type = settings.canary_content_type or BY_SUFFIX.get(path.suffix.lower(), "")
    if not content_type:
        raise SettingError(
            f"{named} does not end in one of {', '.join(BY_SUFFIX)}; say with "
            "SERVING_CANARY_CONTENT_TYPE what it is."
        )
    try:
        body = path.read_bytes()
    except OSError as error:
        raise SettingError(f"{named} cannot be read at {path}: {error.strerror}.") from error
    if not body:
        raise SettingError(f"{named} is empty; it has to be the body of a request.")
    headers = {"content-type": content_type, "x-request-id": "canary"}
    return Request("POST", "/invocations", headers, body)


class Trial:
    """The reply channel of one asking."""

    def __init__(self, answered: Callable[["Trial", Response], None]) -> None:
        self.gone = False
        """Whether the answer is not waited for any more."""
        self.task: asyncio.Task[None] | None = None
        self._answered = answered

    def send(self, response: Response) -> None:
        """Take the answer."""
        if not self.gone:
            self._answered(self, response)

    def end(self) -> None:
        """Wait no more."""
        self.gone = True
        if self.task is not None:
            self.task.cancel()


class Canary:
    """Asks, waits for the answer or the end of its time, judges, and asks again after a while.

    A refusal that names a time to come back, as of a server with too much to do, says nothing of
    the model: the last judgement stands.
    """

    def __init__(
        self,
        request: Request,
        ask: Callable[[Request, Trial], None],
        loop: "asyncio.AbstractEventLoop",
        *,
        interval: float,
        timeout: float,
    ) -> None:
        """Make it; it is bad until an answer was good.

        Args:
            request: What is asked.
            ask: Asks it.
            loop: The event loop on which everything here is called.
            interval: Seconds from a judgement to the next asking.
            timeout: Seconds an answer may take.
        """
        self._request = request
        self._ask = ask
        self._loop = loop
        self._interval = interval
        self._timeout = timeout
        self._reason: str | None = "The model is loaded; its canary is not answered yet."
        self._passed: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._trial: Trial | None = None

    def start(self, passed: Callable[[], None]) -> None:
        """Ask for the first time; ``passed`` is called at the first good answer."""
        self._passed = passed
        self._begin()

    def check(self) -> None:
        """Return if the last answer was good. Raises ModelNotReady with the reason if not."""
        if self._reason is not None:
            raise ModelNotReady(self._reason)

    def close(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._trial is not None:
            self._trial.end()

    def _begin(self) -> None:
        self._trial = trial = Trial(self._answered)
        self._timer = self._loop.call_later(
            self._timeout,
            self._judge,
            trial,
            f"The canary is not answered within {self._timeout:g} s.",
        )
        deadline = time.monotonic() + self._timeout
        self._ask(self._request._replace(deadline=deadline), trial)

    def _answered(self, trial: Trial, response: Response) -> None:
        if not isinstance(response.body, bytes):
            trial.task = self._loop.create_task(self._read(trial, response.status, response.body))
        elif response.status == 503 and "retry-after" in dict(response.headers):
            self._judge(trial, self._reason)
        else:
            self._judge(trial, _failure(response.status, response.body))

    async def _read(self, trial: Trial, status: int, body: AsyncIterator[bytes]) -> None:
        """Read a streamed body to its end: its last part may be what fails."""
        last = b""
        try:
            async for chunk in body:
                last = chunk
            reason = _failure(status, last)
        except ServingError as error:
            reason = f"The canary's answer breaks off: {error}"
        finally:
            await _close(body)
        trial.task = None
        if not trial.gone:
            self._judge(trial, reason)

    def _judge(self, trial: Trial, reason: str | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        trial.end()
        if reason and reason != self._reason:
            log.error("this server is unhealthy: %s", reason)
        elif self._reason and not reason:
            log.info("the canary is answered well")
        self._reason = reason
        self._timer = self._loop.call_later(self._interval, self._begin)
        passed = self._passed
        if not reason and passed is not None:
            self._passed = None
            passed()


def _failure(status: int, body: bytes) -> str | None:
    """What is wrong with an answer, if something is."""
    return f"The canary is answered {status}: {_words(body)}" if status >= 400 else None


def _words(body: bytes) -> str:
    """The message of an error of ours, or the beginning of whatever else it is."""
    try:
        return str(orjson.loads(body)["message"])[:MAX_WORDS]
    except (ValueError, TypeError, KeyError):
        return body[:MAX_WORDS].decode(errors="replace")


async def _close(body: AsyncIterator[bytes]) -> None:
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
