"""The ASGI host: for uvicorn, hypercorn and the like, or mounted in a site made with Starlette.

``app`` is an application by itself. A site mounts what :func:`create_app` makes under a prefix, and
runs its lifespan within the site's own, for a mounted application's is not run::

    model = create_app(SERVING_MODEL="/srv/churn.tar.gz")

    @asynccontextmanager
    async def lifespan(site):
        async with model:
            yield

    site = Starlette(routes=[Mount("/churn", model)], lifespan=lifespan)

Where nobody runs it, the first request starts the host. Until that is done, which may mean that a
model was fetched, requests are answered 503, as they are while the model loads.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from serving import problems
from serving.errors import ServiceUnavailable, ServingError
from serving.hosts import asgi_messages, mounted
from serving.hosts.asgi_messages import ClientLeft, Receive, Scope, Send
from serving.hosts.site import Site
from serving.settings import Settings
from serving.values import Response


class Host:
    """An ASGI application that serves what its settings name, on the event loop that calls it."""

    def __init__(self, variables: Mapping[str, str], *, own_log: bool) -> None:
        """Make it; nothing is read or started yet. The arguments are those of `prepared`."""
        self._variables = variables
        self._own_log = own_log
        self._beginning: asyncio.Task[tuple[Site, Settings]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan.

        Raises:
            ServingError: a stream failed after its first chunk. Nothing but its end can tell the
                client, and it is for the web server to end it so that it looks unfinished.
            NotImplementedError: the scope is of another type, as ASGI wants it.
        """
        if scope["type"] == "http":
            await self._exchange(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "reason": "No WebSockets are answered here."})
        else:
            raise NotImplementedError(f"Scopes of type {scope['type']!r} are not served here.")

    async def start(self) -> None:
        """Begin to load the model, unless that has begun; returns when it is on its way.

        Raises:
            ConfigurationError: a setting is not allowed, or there is no such model.
        """
        if self._beginning is not None and self._beginning.get_loop().is_closed():
            self._beginning = None  # and so is whatever was begun on it
        await asyncio.shield(self._begin())

    async def close(self) -> None:
        """Let asynchronous invocations end, then the threads. After that it may start again."""
        beginning, self._beginning = self._beginning, None
        if beginning is None:
            return
        (outcome,) = await asyncio.gather(beginning, return_exceptions=True)
        if not isinstance(outcome, BaseException):
            site, settings = outcome
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.drain_timeout):
                    await site.drain()
            await site.close()

    async def __aenter__(self) -> "Host":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # The lifespan.

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        (outcome,) = await asyncio.gather(self.start(), return_exceptions=True)
        if outcome is not None:
            await send({"type": "lifespan.startup.failed", "message": str(outcome)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _begin(self) -> "asyncio.Task[tuple[Site, Settings]]":
        if self._beginning is None:
            self._beginning = asyncio.get_running_loop().create_task(self._open())
            self._beginning.add_done_callback(_tell)
        return self._beginning

    async def _open(self) -> tuple[Site, Settings]:
        settings, folder = await asyncio.to_thread(
            mounted.prepared, self._variables, own_log=self._own_log
        )
        return await Site.opened(settings, folder, mounted.told), settings

    # A request.

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        beginning = self._begin()
        refusal = _elsewhere(beginning) or mounted.not_begun(beginning)
        if refusal is not None:
            await asgi_messages.send_response(send, refusal, scope["method"])
            return
        site, settings = beginning.result()
        try:
            request = await asgi_messages.received(scope, receive, settings)
        except ClientLeft:
            return
        except ServingError as error:
            await asgi_messages.send_response(send, problems.response(error), scope["method"])
            return
        await asgi_messages.answer(site.handle, request, receive, send)


app = Host({}, own_log=True)
"""Serves what the environment names."""


def create_app(**variables: str) -> Host:
    """An application for a site to mount.

    Args:
        variables: Settings by the names of their variables, which win over the environment:
            ``create_app(SERVING_MODEL="/srv/churn.tar.gz")``.

    Raises:
        SettingError: there is no such variable. Their values are read when it starts.
    """
    mounted.check(variables)
    return Host(variables, own_log=False)


def _tell(beginning: "asyncio.Task[tuple[Site, Settings]]") -> None:
    if not beginning.cancelled() and (error := beginning.exception()) is not None:
        mounted.tell(error)


def _elsewhere(beginning: "asyncio.Task[tuple[Site, Settings]]") -> Response | None:
    """The answer where another event loop has the model."""
    if beginning.get_loop() is asyncio.get_running_loop():
        return None
    return problems.response(
        ServiceUnavailable(
            "The model is served on another event loop, where this application was started. "
            "Starlette's TestClient has one loop for all requests if it is used in a `with`."
        )
    )
