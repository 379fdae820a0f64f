"""Large bodies are decoded in a thread of their own, so that none stalls the event loop."""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from serving.admission import Gate, overloaded
from serving.call import Call, too_late
from serving.lane import Lane
from serving.problems import attempt, response
from serving.values import Payload, Request, Response

if TYPE_CHECKING:
    import asyncio

Decode = Callable[[Request], Payload]


class Decoded(NamedTuple):
    """What became of a body, and when its turn came, on the clock of ``time.monotonic``."""

    outcome: Payload | Response | None
    """None: nobody waits for it any more."""
    began: float


class Decoder:
    """Decodes one body after the other. Its methods are called on the event loop."""

    def __init__(self, loop: "asyncio.AbstractEventLoop", max_queue: int) -> None:
        """Make it for at most so many bodies at once."""
        self.lane = Lane("decode", loop)
        """The thread, which may do other small work that is too slow for the loop."""
        self._gate = Gate(max_queue)
        self._waiting = 0

    def admit(self, deadline: float) -> None:
        """Return if a body that comes now can be decoded in time. Raises Overloaded if not."""
        if not self._gate.admits(self._waiting, deadline - time.monotonic()):
            raise overloaded(self._waiting, self._gate.rate)

    def run(
        self, call: Call, decode: Decode, then: Callable[[Payload | Response | None], None]
    ) -> None:
        """Decode a call's body; ``then`` gets what became of it."""
        if not self._waiting:
            self._gate.busy(time.monotonic())
        self._waiting += 1
        self.lane.run(partial(_decode, call, decode), partial(self._done, then))

    def close(self) -> None:
        """End the thread."""
        self.lane.close()

    def _done(self, then: Callable[[Payload | Response | None], None], decoded: Decoded) -> None:
        self._waiting -= 1
        self._gate.free(decoded.began, time.monotonic(), 1, 1)
        then(decoded.outcome)


def _decode(call: Call, decode: Decode) -> Decoded:
    began = time.monotonic()
    if call.reply.gone:
        return Decoded(None, began)
    if call.request.deadline <= began:
        return Decoded(response(too_late("before"), call.request), began)
    return Decoded(attempt(decode, call.request), began)
