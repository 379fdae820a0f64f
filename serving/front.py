"""What stands before an application: who may ask it, and what else it can be asked for.

A request passes the access log, the guard and the SageMaker Runtime API, in this order, and then
reaches the core. Each is there only where the settings ask for it, but for the API.
"""

import asyncio

from serving import access, auth
from serving.application import Application
from serving.runtime import Endpoints
from serving.settings import Settings


class Front:
    """An application with all that stands before it. Called on the event loop."""

    def __init__(
        self, application: Application, loop: asyncio.AbstractEventLoop, settings: Settings
    ) -> None:
        """Put it together.

        Raises:
            SettingError: the file of keys, or that of endpoints, cannot be read or is wrong.
        """
        self.application = application
        self._endpoints = Endpoints(application.handle, loop, settings)
        handle = auth.guarded(self._endpoints.handle, settings)
        if settings.access_log:
            handle = access.logged(handle, application.named)
        self.handle = handle
        """Answers one request on its reply channel, now or later; raises nothing."""

    async def drain(self) -> None:
        """Say that the server is about to stop, and let asynchronous invocations end."""
        self.application.drain()
        await self._endpoints.drain()

    def close(self) -> None:
        """End the threads."""
        self._endpoints.close()
        self.application.close()
