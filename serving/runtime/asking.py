"""What coroutines wait for: an answer of the core that no client waits for, and a thread's work."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from serving.call import Handler
from serving.collecting import collect
from serving.errors import ServingError
from serving.lane import Lane
from serving.problems import catch
from serving.runtime.answers import plain
from serving.values import Request, Response

T = TypeVar("T")


class Waiting:
    """A reply channel that a coroutine waits at."""

    def __init__(self) -> None:
        self.gone = False
        """Whether the answer is not waited for any more."""
        self.answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def send(self, response: Response) -> None:
        """Take the answer."""
        if not self.answer.done():  # whoever waited may have been cancelled
            self.answer.set_result(response)


async def ask(handle: Handler, request: Request) -> tuple[Response, bytes]:
    """The core's answer and its whole body, also where it is streamed.

    An answer that breaks off, or is not whole by the request's deadline, is the error that it
    breaks off with.
    """
    reply = Waiting()
    try:
        handle(request, reply)
        answer = await reply.answer
        if isinstance(answer.body, bytes):
            return answer, answer.body
        try:
            return answer, await collect(answer.body, request.deadline)
        except ServingError as error:
            return plain(error)
    finally:
        reply.gone = True


async def in_thread(lane: Lane, step: Callable[..., T], *args: object) -> T:
    """What a step returns, run in a thread. Raises what it raises."""
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(value: object) -> None:
        if not done.done():  # whoever waited may have been cancelled
            done.set_result(value)

    lane.run(partial(catch, step, *args), settle)
    value = await done
    if isinstance(value, BaseException):
        raise value
    result: T = value
    return result
