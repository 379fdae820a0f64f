"""All processes of models that a server has: started in one way, counted together."""

import asyncio
from collections.abc import Callable
from functools import reduce
from pathlib import Path

from serving import metrics
from serving.metrics import Snapshot
from serving.processes.launcher import Launcher
from serving.processes.process import ModelProcess
from serving.service import Tools
from serving.settings import Settings


class Fleet:
    """Models in processes of their own. Called on the event loop."""

    def __init__(self, tools: Tools) -> None:
        """Start the template that they are forked from.

        Raises:
            OSError: that is not possible.
        """
        self._tools = tools
        self._launcher = Launcher(tools.loop)
        self._launcher.start()
        self._processes: set[ModelProcess] = set()
        self._ended: Snapshot = metrics.Metrics().snapshot(0)
        tools.metrics.elsewhere = self._counted

    def fork(
        self,
        name: str,
        folder: Path,
        *,
        settings: Settings,
        settled: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> ModelProcess:
        """Begin to load a model directory in a process; see ModelProcess."""
        process = ModelProcess(
            name,
            folder,
            settings,
            self._launcher,
            self._tools.loop,
            settled=settled,
            lost=lost,
            metrics=self._tools.metrics,
        )
        self._processes.add(process)
        return process

    async def count(self) -> None:
        """Ask those that have something new to tell for what they have counted."""
        await asyncio.gather(*(process.counts() for process in self._processes))

    async def close(self) -> None:
        """End the template and all processes; returns when they have ended."""
        await self._launcher.close()

    def _counted(self) -> Snapshot:
        """What all have told so far; those that have ended hold no memory."""
        for process in [each for each in self._processes if each.has_ended]:
            self._processes.discard(process)
            held = {"memory": 0, "waiting": 0, "load_seconds": 0.0}
            self._ended = metrics.add(self._ended, {**process.told, **held})
        running = [{**process.told, "load_seconds": 0.0} for process in self._processes]
        return reduce(metrics.add, running, self._ended)
