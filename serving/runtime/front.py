"""The SageMaker Runtime API in front of the core: paths, operations, endpoints."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from typing import Any

from serving import identity, problems
from serving.call import Handler, Reply
from serving.lane import Lane
from serving.runtime import PREFIX, asynchronous, endpoints, faults, jobs, members
from serving.runtime.answers import REQUEST_ID, VARIANT, Answer, StreamedAnswer
from serving.runtime.asynchronous import Asynchronous
from serving.runtime.endpoints import Endpoint
from serving.runtime.faults import (
    Fault,
    InternalFailure,
    UnknownOperationException,
    ValidationError,
)
from serving.runtime.members import Members
from serving.runtime.routing import Router
from serving.runtime.shadow import Event, Recorder, Tools
from serving.runtime.spool import Job
from serving.settings import Settings
from serving.values import Headers, Request, Response

INVOCATIONS = "/invocations"
PROXY_NAMES = (REQUEST_ID, "x-request-id")

MOST_NAMES = 1024
"""Endpoints that no file names and that are remembered; a client can make up any number."""

Operation = Callable[[Router, Request, Reply, str], None]
"""Answers a request to an endpoint, which is called by its id. Raises Fault."""


class Endpoints:
    """Answers what begins with ``/endpoints/``; all else it hands to the core."""

    def __init__(
        self, handle: Handler, loop: asyncio.AbstractEventLoop, settings: Settings
    ) -> None:
        """Put the API in front of ``handle``. Its methods are called on the event loop.

        Raises:
            SettingError: the file of endpoints cannot be read, or is wrong.
        """
        self._core = handle
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._chance = random.Random().random  # noqa: S311 - nothing secret hangs on it
        self._multi_model = settings.many
        self._routers: dict[str, Router] = {}
        self._recorders: dict[str, Recorder] = {}
        self._lane = Lane("shadow", loop)
        tools = Tools(handle, self._start, self._lane, self._chance, settings.request_timeout)
        for name, endpoint in endpoints.of(settings).items():
            self._routers[name] = self._router(endpoint)
            if endpoint.shadow is not None:
                self._recorders[name] = Recorder(name, endpoint.shadow, tools)
        self._router_of = lru_cache(MOST_NAMES)(self._unlisted)
        self._asynchronous: Asynchronous | None = None
        if settings.async_output:
            self._asynchronous = Asynchronous(handle, loop, settings)
        self._operations: dict[str, Operation] = {
            "invocations": partial(self._invoke, members.INVOKE, Answer),
            "invocations-response-stream": partial(self._invoke, members.STREAM, StreamedAnswer),
            "async-invocations": self._accept,
        }

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer a request on its reply channel, now or later; raises nothing."""
        if not request.path.startswith(PREFIX):
            self._core(request, reply)
            return
        request_id = _name(request.headers)
        error = problems.catch(self._dispatch, request, reply, request_id)
        if error is not None:
            reply.send(_refusal(error, request_id))

    async def drain(self) -> None:
        """Begin no more asynchronous invocations, and wait for those that were begun."""
        if self._asynchronous is not None:
            await self._asynchronous.drain()

    def close(self) -> None:
        """End what still runs; asynchronous invocations are begun anew by who comes next."""
        if self._asynchronous is not None:
            self._asynchronous.close()
        for task in self._tasks:
            task.cancel()
        self._lane.close()

    def _dispatch(self, request: Request, reply: Reply, request_id: str) -> None:
        name, _, operation = request.path.removeprefix(PREFIX).rpartition("/")
        operate = self._operations.get(operation)
        if operate is None or not name or request.method != "POST":
            raise UnknownOperationException(
                f"There is no {request.method} {request.path!r}; there is POST {PREFIX}<name>/ "
                f"with {', '.join(self._operations)}."
            )
        router = self._routers.get(name) or self._router_of(name)
        operate(router, request, reply, request_id)

    def _unlisted(self, name: str) -> Router:
        """What routes for an endpoint that no file names. Raises ValidationError."""
        members.check("EndpointName", name)
        if self._routers:
            raise ValidationError(
                f"Endpoint {name} is not known; there is {', '.join(self._routers)}."
            )
        return self._router(Endpoint(name, open=True))

    def _router(self, endpoint: Endpoint) -> Router:
        return Router(endpoint, self._chance, multi_model=self._multi_model)

    def _invoke(
        self,
        known: Members,
        answering: type[Answer],
        router: Router,
        request: Request,
        reply: Reply,
        request_id: str,
    ) -> None:
        values, passed = members.read(request.headers, known)
        route = router.route(values)
        asked = request._replace(
            path=INVOCATIONS,
            headers={**passed, REQUEST_ID: request_id, **route.headers},
            query="",
        )
        recorder = self._recorders.get(router.endpoint.name)
        answered = partial(recorder.offer, Event(asked, request_id)) if recorder else _forget
        about = ((REQUEST_ID, request_id), (VARIANT, route.variant))
        self._core(asked, answering(reply, self._start, about, answered))

    def _accept(self, router: Router, request: Request, reply: Reply, request_id: str) -> None:
        queue = self._asynchronous
        if queue is None:
            raise ValidationError(
                f"Endpoint {router.endpoint.name} takes no asynchronous invocations; "
                "SERVING_ASYNC_OUTPUT sets where their answers would go."
            )
        read = members.read(request.headers, members.ASYNC)
        model = router.route(read.values).headers
        job = jobs.job(read, model, request.body, request_id, queue.places)
        self._start(_promise(queue, job, reply))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop itself keeps no hold of it
        task.add_done_callback(self._tasks.discard)


def check(settings: Settings) -> None:
    """Return if the API can be offered as the settings have it.

    Raises:
        ConfigurationError: it cannot.
    """
    endpoints.of(settings)
    asynchronous.check(settings)


def _name(headers: Headers) -> str:
    """What the request is called: as it came from a proxy or the access log, or else anew."""
    given = {name: headers[name] for name in PROXY_NAMES if name in headers}
    return identity.of(given)


async def _promise(queue: Asynchronous, job: Job, reply: Reply) -> None:
    try:
        answer = await queue.accept(job)
    except Fault as fault:
        answer = faults.response(fault)
    named = (*answer.headers, (REQUEST_ID, job.request_id))
    reply.send(answer._replace(headers=named))


def _refusal(error: BaseException, request_id: str) -> Response:
    if not isinstance(error, Fault):
        problems.response(error)  # which writes it to the log
        error = InternalFailure("The server failed; see its log.")
    return faults.response(error, ((REQUEST_ID, request_id),))


def _forget(_answer: Response) -> None:
    """Nobody else wants to hear of it."""
