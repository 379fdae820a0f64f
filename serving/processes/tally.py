"""What a model's process has counted, as far as it has told."""

import asyncio
from contextlib import suppress

import orjson

from serving.metrics import Metrics, Snapshot
from serving.processes.channel import Channel
from serving.processes.messages import Kind

COUNT_SECONDS = 1.0
"""Longest wait for a process's counts."""


class Tally:
    """Asks the process on a channel for its counts, and keeps what it tells."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self.told: Snapshot = Metrics().snapshot(0)
        """What it told last, as ``Metrics.snapshot`` has it."""
        self._channel = channel
        self._loop = loop
        self._answer: asyncio.Future[None] | None = None
        channel.receivers[Kind.COUNTS] = self._take

    def ask(self) -> bool:
        """Ask the process, unless it was asked and has not answered; whether it was asked."""
        if self._answer is not None:
            return False
        self._answer = self._loop.create_future()
        self._channel.send(Kind.COUNT)
        return True

    async def answered(self) -> None:
        """Wait until the process has answered, or time is over."""
        if self._answer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._answer), COUNT_SECONDS)

    def end(self) -> None:
        """Let nobody wait any more: the process has answered, or has ended."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_result(None)

    def _take(self, _number: int, head: bytes, _body: bytes) -> None:
        self.told = orjson.loads(head)
        self.end()
