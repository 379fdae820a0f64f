"""Stateful sessions: values that a script keeps from one request of a client to the next.

A client opens a session, names it in its requests, and closes it, as SageMaker's InvokeEndpoint
describes. Where there are none, which is the default, what keeps them is not imported.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from serving.errors import BadRequest
from serving.settings import Settings
from serving.values import Headers, Request, Response

if TYPE_CHECKING:
    from serving.sessions.store import Session, Sessions

HEADER = "x-amzn-sagemaker-session-id"

NEW, CLOSE = "NEW_SESSION", "CLOSE"
MAX_WISH = 64
"""Largest body that is looked at for a ``requestType``, in bytes; it needs half of that. Every
prediction passes here, so most have to be told by their length or their first byte."""


def wish(body: bytes) -> str:
    """What a body asks of the server instead of a prediction: NEW_SESSION, CLOSE, or nothing, "".

    Such a body is a JSON object with the one key ``requestType``.

    Raises:
        BadRequest: it asks for something else.
    """
    if len(body) > MAX_WISH or body.lstrip()[:1] != b"{" or b'"requestType"' not in body:
        return ""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(content, dict) or content.keys() != {"requestType"}:
        return ""
    asked = content["requestType"]
    if asked not in (NEW, CLOSE):
        raise BadRequest(f"The requestType {asked!r} is unknown; there are {NEW} and {CLOSE}.")
    return str(asked)


class NoSessions:
    """Stands for the sessions of a server that has none: their header fields are the script's."""

    def action(self, request: Request) -> Callable[[], Response] | None:
        """Refuse what asks for a session. Raises BadRequest."""
        if wish(request.body):
            raise BadRequest(
                "Stateful sessions are not enabled here; SAGEMAKER_ENABLE_STATEFUL_SESSIONS=true "
                "would enable them."
            )
        return None

    def of(self, _headers: Headers) -> "Session | None":
        """There is none."""
        return None


NONE = NoSessions()


def of(settings: Settings) -> "Sessions | NoSessions":
    """The sessions of a server with these settings."""
    if not settings.sessions:
        return NONE
    from serving.sessions.store import Sessions

    return Sessions(settings.sessions_path, settings.sessions_expiration)
