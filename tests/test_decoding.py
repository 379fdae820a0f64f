"""Large bodies are decoded one by one, as many as can be in time, and only for those who wait."""

import asyncio
import threading
import time

import pytest

from serving.call import Call
from serving.decoding import Decoder
from serving.errors import BadRequest, Overloaded
from serving.values import Payload, Request, Response
from tests.support import PATIENCE, Recorder, post

Outcome = Payload | Response | None


class Decoding:
    """A decoder, and what became of the bodies it was given."""

    def __init__(self, max_queue: int = 10) -> None:
        self.decoder = Decoder(asyncio.get_running_loop(), max_queue)
        self.outcomes: list[Outcome] = []
        self.decoded: list[bytes] = []
        self.gate = threading.Event()
        self._one_more = asyncio.Semaphore(0)

    def run(self, request: Request, *, reply: Recorder | None = None) -> None:
        self.decoder.run(Call(request, "", reply or Recorder()), self._decode, self._done)

    async def ends(self, count: int) -> list[Outcome]:
        for _ in range(count):
            await asyncio.wait_for(self._one_more.acquire(), PATIENCE)
        return self.outcomes

    def _decode(self, request: Request) -> Payload:
        assert self.gate.wait(PATIENCE)
        self.decoded.append(request.body)
        if request.body == b"bad":
            raise BadRequest("It is bad.")
        return Payload(request.body)

    def _done(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._one_more.release()


async def test_bodies_are_decoded_in_their_order_and_errors_become_answers() -> None:
    decoding = Decoding()
    decoding.gate.set()
    for body in (b"1", b"bad", b"2"):
        decoding.run(post(body))
    first, second, third = await decoding.ends(3)
    assert (first, third) == (Payload(b"1"), Payload(b"2"))
    assert isinstance(second, Response)
    assert second.status == 400
    decoding.decoder.close()


async def test_what_nobody_waits_for_is_not_decoded() -> None:
    decoding = Decoding()
    gone = Recorder()
    decoding.run(post(b"1"))
    decoding.run(post(b"2"), reply=gone)
    decoding.run(post(b"3", deadline=time.monotonic()))
    gone.gone = True
    decoding.gate.set()
    _, second, third = await decoding.ends(3)
    assert decoding.decoded == [b"1"]
    assert second is None
    assert isinstance(third, Response)
    assert third.status == 504
    decoding.decoder.close()


async def test_no_more_are_admitted_than_may_wait() -> None:
    decoding = Decoding(max_queue=2)
    for _ in range(2):
        decoding.decoder.admit(float("inf"))
        decoding.run(post(b"1"))
    with pytest.raises(Overloaded, match="2 requests wait"):
        decoding.decoder.admit(float("inf"))
    decoding.gate.set()
    await decoding.ends(2)
    decoding.decoder.admit(float("inf"))
    decoding.decoder.close()
