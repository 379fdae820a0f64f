"""The core's answers as the API's: reply channels that the core sends to."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

from serving import collecting, problems
from serving.call import Reply
from serving.errors import ServingError
from serving.runtime import eventstream, faults
from serving.runtime.eventstream import Begun, Events
from serving.values import Response

REQUEST_ID = "x-amzn-requestid"
VARIANT = "x-amzn-invoked-production-variant"
CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
CONTENT_TYPE = "x-amzn-sagemaker-content-type"

PASSED = (
    CUSTOM_ATTRIBUTES,
    "x-amzn-sagemaker-new-session-id",
    "x-amzn-sagemaker-closed-session-id",
)
"""Header fields of a model's answer that the client gets; the API has no others."""


Start = Callable[[Coroutine[Any, Any, None]], None]
"""Runs a coroutine as a task."""


def succeeded(answer: Response) -> bool:
    """Whether the model answered well."""
    return 200 <= answer.status < 300


async def beginning(body: AsyncIterator[bytes]) -> bytes:
    """As much of a streamed body as a message of an error can show; then it is closed."""
    content = b""
    try:
        async for chunk in body:
            content += chunk
            if len(content) > faults.MAX_MESSAGE:
                break
    finally:
        await collecting.close(body)
    return content


class Answer:
    """The reply channel of an InvokeEndpoint."""

    __slots__ = ("_about", "_answered", "_reply", "_start")

    def __init__(
        self,
        reply: Reply,
        start: Start,
        about: tuple[tuple[str, str], ...],
        answered: Callable[[Response], None],
    ) -> None:
        """Make it.

        Args:
            reply: The client's.
            start: Runs what takes a while.
            about: Header fields that every answer to this request has.
            answered: Hears of the core's answer when the client has it.
        """
        self._reply = reply
        self._start = start
        self._about = about
        self._answered = answered

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._reply.gone

    def send(self, answer: Response) -> None:
        """Take the core's answer and send the API's."""
        body = answer.body
        if not isinstance(body, bytes):
            self._start(self._begin(answer, body))
        elif succeeded(answer):
            self._succeed(answer, body)
        else:
            self._fail(answer, body)

    def success(self, answer: Response, body: bytes | Begun) -> Response:
        """The API's answer, with ``body`` in the place of the core's."""
        return Response(200, body, answer.content_type, self.fields(answer))

    def fields(self, answer: Response) -> tuple[tuple[str, str], ...]:
        """The header fields that the client gets; a model that sets no attributes gives none."""
        given = {name.lower(): value for name, value in answer.headers}
        passed = {name: given[name] for name in PASSED if name in given}
        return (*self._about, *{CUSTOM_ATTRIBUTES: "", **passed}.items())

    async def _begin(self, answer: Response, body: AsyncIterator[bytes]) -> None:
        """Answer with a streamed body, unless it fails before it has begun."""
        try:
            if not succeeded(answer):
                self._fail(answer, await beginning(body))
                return
            begun = await eventstream.begin(body)
        except ServingError as error:
            self._fail(*plain(error))
            return
        if self._reply.gone:
            await begun.aclose()
        else:
            self._succeed(answer, begun)

    def _succeed(self, answer: Response, body: bytes | Begun) -> None:
        self._reply.send(self.success(answer, body))
        self._answered(answer)

    def _fail(self, answer: Response, body: bytes) -> None:
        self._reply.send(faults.response(faults.of_answer(answer, body), self._about))
        self._answered(answer)


class StreamedAnswer(Answer):
    """The reply channel of an InvokeEndpointWithResponseStream."""

    __slots__ = ()

    def success(self, answer: Response, body: bytes | Begun) -> Response:
        """The API's answer: the body as events, and its type in a header field."""
        if isinstance(body, bytes):
            events: bytes | Events = b"".join(eventstream.parts(body))
        else:
            events = Events(body)
        fields = self.fields(answer)
        if answer.content_type:
            fields = (*fields, (CONTENT_TYPE, answer.content_type))
        return Response(200, events, eventstream.CONTENT_TYPE, fields)


def plain(error: ServingError) -> tuple[Response, bytes]:
    """The response that an error becomes, and its body."""
    problem = problems.response(error)
    return problem, cast("bytes", problem.body)
