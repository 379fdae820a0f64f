"""What every host serves: the application with all that belongs to it, on one event loop."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from serving.application import Application, Exposition, own_exposition
from serving.entry import Entry, State
from serving.front import Front
from serving.service import Tools
from serving.settings import Settings

if TYPE_CHECKING:
    import asyncio

    from serving.multi import MultiModel
    from serving.processes.fleet import Fleet

log = logging.getLogger("serving")

COUNT_SECONDS = 1.0
"""Time between two looks at what models in processes of their own have counted."""

NOTHING: Mapping[str, str] = {}


class Site:
    """One model or many, from the first request to the last. Called on its event loop."""

    def __init__(
        self,
        settings: Settings,
        loop: "asyncio.AbstractEventLoop",
        *,
        told: Callable[[State, str], None],
        keep: Callable[[Mapping[str, str]], None] = lambda _: None,
        exposition: Exposition = own_exposition,
    ) -> None:
        """Put it together, with no model yet.

        Args:
            settings: All settings, as `serving.preparing` returns them.
            loop: The event loop that is running.
            told: Hears that requests can be answered (READY), that the model cannot be loaded
                (FAILED), and that only a new process can mend it (BROKEN); the latter two with
                the reason.
            keep: Keeps what is registered on a server of many, for the process after this.
            exposition: Writes /metrics.

        Raises:
            SettingError: the file of keys, or that of endpoints, cannot be read or is wrong.
        """
        self._settings = settings
        self._loop = loop
        self._told = told
        self._keep = keep
        self._fleet: Fleet | None = None
        self._tasks: list[asyncio.Task[None]] = []
        many = self._many if settings.many else None
        self.application = Application(settings, loop, exposition, many)
        self._front = Front(self.application, loop, settings)
        self.handle = self._front.handle
        """Answers one request on its reply channel, now or later; raises nothing."""

    @classmethod
    async def opened(
        cls,
        settings: Settings,
        folder: Path | None,
        told: Callable[[State, str], None],
        exposition: Exposition = own_exposition,
    ) -> "Site":
        """A site on the running event loop that has begun to load; the arguments are those above.

        Raises:
            SettingError: a file that the settings name cannot be read or is wrong, or a pinned
                model is not there.
        """
        from asyncio import get_running_loop

        async with AsyncExitStack() as undo:
            site = cls(settings, get_running_loop(), told=told, exposition=exposition)
            undo.push_async_callback(site.close)
            site.open(folder)
            undo.pop_all()
        return site

    def open(self, folder: Path | None, registered: Mapping[str, str] = NOTHING) -> None:
        """Begin to load the one model in ``folder``, or what a server of many has to have.

        Raises:
            SettingError: the canary cannot be read, or a pinned model is not there.
        """
        settings = self._settings
        if settings.emf_namespace:
            from serving import emf

            reporter = emf.Reporter(settings.emf_namespace, self.application.metrics)
            self._tasks.append(self._loop.create_task(reporter.run(settings.emf_interval)))
        if folder is not None:
            self.application.load(folder, self._changed)
        else:
            self._tasks.append(self._loop.create_task(self._count_processes()))
            self.application.open(registered, lambda: self._told(State.READY, ""))

    async def drain(self) -> None:
        """Say that the end is near, and let asynchronous invocations end."""
        await self._front.drain()

    async def close(self) -> None:
        """End the threads, and the processes of models."""
        for task in self._tasks:
            task.cancel()
        self._front.close()
        if self._fleet is not None:
            await self._fleet.close()

    def _many(self, tools: Tools) -> "MultiModel":
        # Imported where they are used: a server of one model starts sooner without them.
        from serving.gpu import Gpus
        from serving.loader import Loader
        from serving.multi import MultiModel
        from serving.processes.fleet import Fleet

        self._fleet = Fleet(tools)
        return MultiModel(
            tools, Loader(tools, self._fleet.fork, Gpus.find()), self._keep, self._changed
        )

    def _changed(self, entry: Entry) -> None:
        if entry.state in (State.READY, State.FAILED, State.BROKEN):
            self._told(entry.state, "" if entry.state is State.READY else entry.reason)

    async def _count_processes(self) -> None:
        from asyncio import sleep

        while self._fleet is not None:
            await sleep(COUNT_SECONDS)
            await self._fleet.count()
