"""What stands before an application: who may ask it, and what else it can be asked for.

A request passes the access log, the guard and the SageMaker Runtime API, in this order, and then
reaches the core. Each is there only where the settings ask for it, but for the API.
"""

from typing import TYPE_CHECKING

from serving import access, auth, runtime
from serving.application import Application
from serving.call import Reply
from serving.runtime import PREFIX
from serving.settings import Settings
from serving.values import Request

if TYPE_CHECKING:
    import asyncio

    from serving.runtime.front import Endpoints


class Front:
    """An application with all that stands before it. Called on the event loop."""

    def __init__(
        self, application: Application, loop: "asyncio.AbstractEventLoop", settings: Settings
    ) -> None:
        """Put it together.

        Raises:
            SettingError: the file of keys, or that of endpoints, cannot be read or is wrong.
        """
        self.application = application
        self._core = application.handle
        self._loop = loop
        self._settings = settings
        self._endpoints: Endpoints | None = None
        if runtime.asked_for(settings):
            self._api()
        handle = auth.guarded(self._route, settings)
        if settings.access_log:
            handle = access.logged(handle, application.named)
        self.handle = handle
        """Answers one request on its reply channel, now or later; raises nothing."""

    async def drain(self) -> None:
        """Say that the server is about to stop, and let asynchronous invocations end."""
        self.application.drain()
        if self._endpoints is not None:
            await self._endpoints.drain()

    def close(self) -> None:
        """End the threads."""
        if self._endpoints is not None:
            self._endpoints.close()
        self.application.close()

    def _route(self, request: Request, reply: Reply) -> None:
        if request.path.startswith(PREFIX):
            self._api().handle(request, reply)
        else:
            self._core(request, reply)

    def _api(self) -> "Endpoints":
        """The Runtime API, made when it is asked: what nobody asks delays no Lambda function."""
        if self._endpoints is None:
            from serving.runtime.front import Endpoints

            self._endpoints = Endpoints(self._core, self._loop, self._settings)
        return self._endpoints
