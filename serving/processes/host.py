"""A model's own process: an application of one model, which the server asks over a socket."""

import asyncio
import fcntl
import logging
import os
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import orjson
import uvloop

from serving import loading, logs, machine, requirements
from serving.application import Application
from serving.entry import Entry, State
from serving.errors import ConfigurationError, InsufficientStorage
from serving.lane import Lane
from serving.problems import attempt, catch, response
from serving.processes import memory, messages
from serving.processes.bodies import Source
from serving.processes.channel import Channel
from serving.processes.messages import Kind
from serving.settings import Settings
from serving.values import Response

log = logging.getLogger("serving")

OUTCOMES = {State.READY: Kind.READY, State.FAILED: Kind.FAILED, State.BROKEN: Kind.BROKEN}


class Ticket:
    """The reply channel of a request."""

    __slots__ = ("_host", "gone", "number", "source")

    def __init__(self, host: "Host", number: int) -> None:
        self._host = host
        self.number = number
        self.gone = False
        """Whether nobody waits for the answer any more."""
        self.source: Source | None = None
        """Where a streamed body comes from."""

    def send(self, answer: Response) -> None:
        """Take the answer."""
        if not self.gone:
            self._host.answer(self, answer)


class Host:
    """Translates between frames and the application."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._application = cast("Application", None)  # until the requirements are installed
        self._tickets: dict[int, Ticket] = {}
        self._left = asyncio.Event()
        self._channel = Channel(self._left.set)
        self._channel.receivers = {
            Kind.LOAD: self._load,
            Kind.REQUEST: self._request,
            Kind.CANCEL: self._cancel,
            Kind.NEXT: self._next,
            Kind.COUNT: self._count,
        }

    async def serve(self, connection: socket.socket) -> None:
        """Answer until the server hangs up."""
        channel = self._channel
        await self._loop.create_unix_connection(lambda: channel, sock=connection)
        await self._left.wait()
        tasks = [ticket.source.task for ticket in self._tickets.values() if ticket.source]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._application is not None:
            self._count(0, b"", b"")
            self._application.drain()
            self._application.close()
        channel.close()
        await channel.closed.wait()

    def answer(self, ticket: Ticket, answer: Response) -> None:
        """Send the answer to a request."""
        head = attempt(messages.write_response, answer)
        if isinstance(head, Response):
            answer, head = head, messages.write_response(head)
        number, send = ticket.number, self._channel.send
        if isinstance(answer.body, bytes):
            del self._tickets[number]
            send(Kind.RESPONSE, number, head, answer.body)
        else:
            ticket.source = Source(
                answer.body,
                self._loop,
                lambda chunk: send(Kind.CHUNK, number, b"", chunk),
                partial(self._streamed, number),
            )
            send(Kind.STREAM, number, head)

    def _streamed(self, number: int, error: BaseException | None) -> None:
        self._tickets.pop(number, None)
        if error is None:
            self._channel.send(Kind.END, number)
        else:
            failure = response(error)
            body = cast("bytes", failure.body)
            self._channel.send(Kind.ERROR, number, messages.write_response(failure), body)

    # What the frames ask for.

    def _load(self, _number: int, head: bytes, _body: bytes) -> None:
        name, folder, settings = messages.read_load(head)
        logs.configure(settings.log_level, settings.log_format)
        if len(machine.gpus()) > 1:  # a script, too, sees the one that has room for the model
            machine.take_gpu(settings.gpu)
            settings = replace(settings, gpu=0)
        lane = Lane("requirements", self._loop)
        code = settings.code_folder(folder)
        lane.run(
            partial(catch, _install, code, settings.cache),
            partial(self._installed, name, folder, settings),
        )
        lane.close()

    def _installed(
        self, name: str, folder: Path, settings: Settings, error: BaseException | None
    ) -> None:
        if error is None:
            self._application = Application(settings, self._loop)
            error = catch(self._application.load, folder, self._changed, name)
        if error is not None:
            reason = loading.reason(error)
            known = isinstance(error, ConfigurationError)
            log.error(
                "model %s failed to load: %s", name, reason, exc_info=None if known else error
            )
            self._tell(Kind.FAILED, f"The model failed to load: {reason}")

    def _changed(self, entry: Entry) -> None:
        words = entry.engine if entry.state is State.READY else entry.reason
        starved = isinstance(entry.error, InsufficientStorage)
        self._tell(OUTCOMES[entry.state], words, messages.STARVED if starved else b"")

    def _tell(self, kind: Kind, words: str, body: bytes = b"") -> None:
        self._channel.send(kind, head=words.encode(errors="replace"), body=body)

    def _request(self, number: int, head: bytes, body: bytes) -> None:
        ticket = self._tickets[number] = Ticket(self, number)
        self._application.handle(messages.read_request(head, body), ticket)

    def _cancel(self, number: int, _head: bytes, _body: bytes) -> None:
        ticket = self._tickets.pop(number, None)
        if ticket is not None:
            ticket.gone = True
            if ticket.source is not None:
                ticket.source.cancel()

    def _next(self, number: int, _head: bytes, _body: bytes) -> None:
        ticket = self._tickets.get(number)
        if ticket is not None and ticket.source is not None:
            ticket.source.want()

    def _count(self, _number: int, _head: bytes, _body: bytes) -> None:
        counts = self._application.metrics.snapshot(memory.of(os.getpid()))
        self._channel.send(Kind.COUNTS, head=orjson.dumps(counts))


def run(connection: socket.socket) -> None:
    """Be the process of one model until the server at the other end hangs up."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(connection))


async def _serve(connection: socket.socket) -> None:
    await Host(asyncio.get_running_loop()).serve(connection)


def _install(code: Path, cache: Path) -> None:
    """Install a script's requirements. Processes that want the same ones take turns.

    Raises:
        ModelLoadError: they cannot be installed.
    """
    site = requirements.site(code, cache)
    if site is None or (site / requirements.COMPLETE).exists():
        return
    site.parent.mkdir(parents=True, exist_ok=True)
    with site.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        requirements.install(code, cache)
