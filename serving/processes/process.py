"""A model in a process of its own, as the server sees it."""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path

from serving.call import Reply
from serving.errors import ModelNotReady, ServiceUnavailable
from serving.metrics import Metrics, Snapshot
from serving.processes import memory, messages
from serving.processes.channel import Channel
from serving.processes.launcher import Launcher
from serving.processes.messages import Kind
from serving.processes.tally import Tally
from serving.processes.traffic import Traffic
from serving.settings import Settings
from serving.values import Request

log = logging.getLogger("serving")

END_SECONDS = 5.0
"""Time that a process has to end by itself before it is killed."""


class Phase(Enum):
    """Where the process is in its life."""

    LOADING = "loading"
    READY = "ready"
    FINISHING = "finishing"
    """It answers what was begun, and takes no more."""
    PARTING = "parting"
    """It was told to end."""
    ENDED = "ended"


class ModelProcess:
    """Loads a model in a process and passes requests on to it. Called on the event loop.

    It answers for the model as a Service does, see entry.py.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        settings: Settings,
        launcher: Launcher,
        loop: asyncio.AbstractEventLoop,
        *,
        settled: Callable[[str], None],
        lost: Callable[[str], None],
        metrics: Metrics | None = None,
    ) -> None:
        """Begin to load.

        Args:
            name: What the model is called in logs.
            folder: The model's directory.
            settings: Those of a server with this one model.
            launcher: Starts the process.
            loop: The event loop.
            settled: Called once: with an empty text when the model is loaded, or with the reason
                why it cannot be.
            lost: Called at most once, with the reason, when a model that was loaded cannot answer
                any more: its process has ended, hangs, or has lost the GPU. What is left of the
                process ends by itself. Neither is called after ``finish`` or ``close``.
            metrics: Counts the answers that are given here instead of by the process.
        """
        self.name = name
        self.engine = ""
        """Once it is loaded."""
        self.starved = False
        """Whether it could not be loaded for want of memory."""
        self.pid = 0
        """While the process runs."""
        self.reason = f"The model is loading from {folder}."
        """Why it cannot answer, while it cannot."""
        self._launcher = launcher
        self._loop = loop
        self._settled = settled
        self._lost = lost
        self._patience = settings.request_timeout
        self._phase = Phase.LOADING
        self._done: list[Callable[[], None]] = []
        self._channel = Channel(self._hung_up)
        self._channel.receivers = {
            Kind.READY: self._ready,
            Kind.FAILED: self._failed,
            Kind.BROKEN: self._broken,
        }
        self._tally = Tally(self._channel, loop)
        self._traffic = Traffic(
            self._channel,
            loop,
            max_queue=settings.max_queue,
            patience=self._patience,
            metrics=metrics or Metrics(),
            idle=self._leave_if_finished,
            stuck=self._stuck,
        )
        self._timer = loop.call_later(
            settings.startup_timeout,
            self._give_up,
            f"The model has not loaded within {settings.startup_timeout:g} s.",
        )
        # The server writes the access log and the metrics, of all its models.
        own = replace(
            settings, multi_model=False, repository="", access_log=False, emf_namespace=""
        )
        load = messages.write_load(name, folder, own)
        self._opening = loop.create_task(self._open(load))

    def handle(self, request: Request, reply: Reply) -> None:
        """Have an invocation answered, whatever its path.

        Raises:
            ModelNotReady: the model is loading, or cannot answer.
            Overloaded: the process has too much to do.
            BadRequest: a header field is no text.
        """
        if self._phase is not Phase.READY:
            raise ModelNotReady(self.reason)
        self._traffic.ask(request, reply)

    def finish(self, done: Callable[[], None]) -> None:
        """Have what was begun answered, then end the process; ``done`` is called after that.

        Its memory is free by then. What takes longer than a request may is broken off.
        """
        if self._phase is Phase.ENDED:
            self._loop.call_soon(done)
            return
        self._done.append(done)
        if self._phase is Phase.LOADING:
            self.close()
        elif self._phase is Phase.READY:
            self._finish("The model is being unloaded.")

    def close(self) -> None:
        """End the process, whatever it does. It is told to, and killed after a while."""
        if self._phase not in (Phase.PARTING, Phase.ENDED):
            self._part("The model was unloaded.")
            self._channel.abort()

    def memory(self) -> int:
        """Bytes that the process and what it started take; shared pages count in parts.

        It takes around a millisecond for each 100 MB.
        """
        return memory.of(self.pid) if self.pid else 0

    def on_gpu(self) -> bool:
        """Whether the process, or what it started, uses a GPU now."""
        return self.pid > 0 and memory.on_gpu(self.pid)

    async def counts(self) -> Snapshot:
        """What the process has counted, as ``Metrics.snapshot`` has it.

        That is the last it told where it does not answer in time, or has ended. A process with
        nothing new to tell is not asked.
        """
        if self._phase in (Phase.READY, Phase.FINISHING) and self._traffic.touched:
            if self._tally.ask():
                self._traffic.touched = False
            await self._tally.answered()
        return self._tally.told

    @property
    def told(self) -> Snapshot:
        """What the process has told of its counts so far."""
        return self._tally.told

    @property
    def has_ended(self) -> bool:
        """Whether there is a process no more."""
        return self._phase is Phase.ENDED

    # What the launcher calls.

    def started(self, pid: int) -> None:
        """The process runs."""
        self.pid = pid
        log.info("model %s gets process %d", self.name, pid)
        if self._phase is Phase.PARTING:
            self._kill()

    def ended(self, how: str) -> None:
        """The process has ended, or could not be started."""
        phase, self._phase = self._phase, Phase.ENDED
        self.pid = 0
        self._timer.cancel()
        self._channel.abort()
        if phase is not Phase.PARTING:
            self.reason = f"The model's process {how}."
            log.error("model %s: %s", self.name, self.reason)
        self._traffic.end(ServiceUnavailable(self.reason))
        self._tally.end()
        if phase is Phase.LOADING:
            self._settled(self.reason)
        elif phase is Phase.READY:
            self._lost(self.reason)
        # Those who hear of it hold the model, and it them: they would keep each other.
        self._settled = self._lost = _nothing
        finished, self._done = self._done, []
        for done in finished:
            done()

    # How it loads.

    async def _open(self, load: bytes) -> None:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            self.ended(f"could not be started: {error.strerror}")
            return
        try:
            self._launcher.launch(theirs, self)
        except OSError as error:
            ours.close()
            theirs.close()
            self.ended(f"could not be started: {error.strerror}")
            return
        await self._loop.create_unix_connection(lambda: self._channel, sock=ours)
        self._channel.send(Kind.LOAD, head=load)
        if self._phase is not Phase.LOADING:  # it was closed, or could not be forked
            self._channel.abort()

    def _ready(self, _number: int, head: bytes, _body: bytes) -> None:
        if self._phase is Phase.LOADING:
            self._timer.cancel()
            self._phase = Phase.READY
            self.engine = head.decode()
            self._settled("")

    def _failed(self, _number: int, head: bytes, body: bytes) -> None:
        if self._phase is Phase.LOADING:
            self.starved = body == messages.STARVED
            self._part(head.decode())
            self._channel.hang_up()
            self._settled(self.reason)

    # How it ends.

    def _broken(self, _number: int, head: bytes, _body: bytes) -> None:
        """It answers still, but has to be replaced."""
        if self._phase is Phase.READY:
            self._finish(head.decode())
            self._lost(self.reason)

    def _stuck(self) -> None:
        if self._phase is Phase.READY:
            self._give_up(f"The model's process did not react for {self._patience:g} s.")

    def _give_up(self, reason: str) -> None:
        """Kill what hangs."""
        tell = self._settled if self._phase is Phase.LOADING else self._lost
        log.error("model %s: %s", self.name, reason)
        self._part(reason)
        self._kill()
        tell(reason)

    def _finish(self, reason: str) -> None:
        self._phase = Phase.FINISHING
        self.reason = reason
        self._timer = self._loop.call_later(self._patience, self._leave)
        self._leave_if_finished()

    def _leave_if_finished(self) -> None:
        if self._phase is Phase.FINISHING and not self._traffic.busy:
            self._leave()

    def _leave(self) -> None:
        self._part(self.reason)
        self._channel.hang_up()

    def _part(self, reason: str) -> None:
        """The process shall end; see to it that it does."""
        self._phase = Phase.PARTING
        self.reason = reason
        self._traffic.fail(ServiceUnavailable(reason))
        self._timer.cancel()
        self._timer = self._loop.call_later(END_SECONDS, self._kill)

    def _hung_up(self) -> None:
        """The process has closed its end: it ends, or has lost the way here."""
        self._channel.close()
        if self._phase is not Phase.ENDED:
            self._timer.cancel()
            self._timer = self._loop.call_later(END_SECONDS, self._kill)

    def _kill(self) -> None:
        if self.pid:
            self._launcher.kill(self.pid)


def _nothing(_reason: str) -> None:
    return
