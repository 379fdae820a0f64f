"""Requests into batches: whatever waits when the model becomes free is the next batch.

There is no timer to tune. A prediction whose measured cost is small runs on the event loop: the
requests that arrived in one turn of the loop are predicted together at its end. Anything slower
runs in the model's own thread, so that one request never stalls another.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, cast

from serving.errors import DeadlineExceeded, Overloaded
from serving.lane import Lane
from serving.model import Model
from serving.problems import attempt, response
from serving.stacking import split, stack
from serving.values import Payload, Prediction, Request, Response

INLINE_SECONDS = 0.002
"""Longest prediction that runs on the event loop. A hand-over to a thread and back costs around
0.1 ms and twice that under load; a stall of 2 ms on the loop is not felt."""


class Reply(Protocol):
    """Where the answer to one request goes."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""

    def send(self, response: Response) -> None:
        """Take the answer; called once, on the event loop."""


class Cost(NamedTuple):
    """What a prediction costs, in seconds, as measured when the model was loaded."""

    fixed: float
    per_row: float

    def rows_within(self, seconds: float) -> int:
        """Most rows one call can take in that time; 0 if even one row takes longer."""
        if self.fixed + self.per_row > seconds:
            return 0
        return int((seconds - self.fixed) / self.per_row) if self.per_row > 0 else 1_000_000


class Call:
    """One request on its way through a model."""

    __slots__ = ("accept", "finished", "payload", "reply", "request", "timer")

    def __init__(self, request: Request, accept: str, reply: Reply) -> None:
        self.request = request
        self.accept = accept
        self.reply = reply
        self.payload: Payload | None = None
        self.finished = False
        self.timer: asyncio.TimerHandle | None = None

    def finish(self, answer: Response) -> None:
        """Send the answer, unless one was sent: a late result is dropped."""
        if not self.finished:
            self.finished = True
            if self.timer is not None:
                self.timer.cancel()
            self.reply.send(answer)


class Batcher:
    """The queue of one model. All methods are called on the event loop."""

    def __init__(
        self,
        model: Model,
        cost: Cost,
        loop: asyncio.AbstractEventLoop,
        *,
        max_rows: int,
        max_queue: int,
        patience: float = math.inf,
        hung: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the queue.

        Args:
            model: Predicts.
            cost: What its predictions cost, which decides where they run.
            loop: The event loop on which everything here is called.
            max_rows: Most rows of a batch.
            max_queue: Most calls waiting for the model's thread.
            patience: Seconds after which a batch is taken to hang. Its calls are answered when
                their own time is over; those that wait go on in a new thread.
            hung: Called when that happens. The old thread cannot be ended, only its process.
        """
        self._model = model
        self._loop = loop
        self._max_rows = max_rows
        self._max_queue = max_queue
        self._inline_rows = 0 if model.foreign else min(max_rows, cost.rows_within(INLINE_SECONDS))
        self._turn: list[Call] = []
        self._queue: deque[Call] = deque()
        self._patience = patience
        self._hung = hung
        self._lane = self._new_lane()
        self._watch: asyncio.TimerHandle | None = None  # while the lane is busy
        self._rate = 0.0

    def submit(self, call: Call) -> None:
        """Take a call. Its payload is decoded, or is None where decoding is the model's thread's.

        Raises:
            Overloaded: the queue is full.
        """
        payload = call.payload
        if payload is not None and payload.rows <= self._inline_rows:
            if not self._turn:
                self._loop.call_soon(self._run_turn)
            self._turn.append(call)
            return
        if len(self._queue) >= self._max_queue:
            raise self._overloaded()
        delay = call.request.deadline - time.monotonic()
        if delay < math.inf:
            call.timer = self._loop.call_later(max(0.0, delay), self._expire, call)
        self._queue.append(call)
        if self._watch is None:
            self._start()

    def close(self) -> None:
        """End the model's thread after the batch it runs."""
        self._lane.close()

    def _run_turn(self) -> None:
        calls, self._turn = self._turn, []
        while calls:
            batch, calls = _take(calls, self._inline_rows)
            for call, answer in run(self._model, batch):
                call.finish(answer)

    def _new_lane(self) -> Lane:
        return Lane(f"model-{self._model.engine}", self._loop)

    def _start(self) -> None:
        waiting = [call for call in self._queue if not call.finished and not call.reply.gone]
        batch, rest = _take(waiting, self._max_rows)
        self._queue = deque(rest)
        if batch:
            lane, started = self._lane, time.monotonic()
            self._watch = self._loop.call_later(min(self._patience, 1e6), self._give_up)
            lane.run(lambda: run(self._model, batch), lambda done: self._done(lane, done, started))

    def _done(self, lane: Lane, answers: list[tuple[Call, Response]], started: float) -> None:
        if lane is self._lane:
            cast("asyncio.TimerHandle", self._watch).cancel()
            self._watch = None
        rate = len(answers) / max(1e-6, time.monotonic() - started)
        self._rate = rate if not self._rate else 0.8 * self._rate + 0.2 * rate
        for call, answer in answers:
            call.finish(answer)
        if self._queue and self._watch is None:  # a reply may have brought the next request
            self._start()

    def _give_up(self) -> None:
        """The batch hangs: leave its thread to itself."""
        self._lane.close()
        self._lane = self._new_lane()
        self._watch = None
        self._hung()
        if self._queue:
            self._start()

    def _expire(self, call: Call) -> None:
        where = "waiting for" if call in self._queue else "in"
        call.finish(response(DeadlineExceeded(f"The request ran out of time {where} the model.")))

    def _overloaded(self) -> Overloaded:
        error = Overloaded(f"{len(self._queue)} requests wait for the model already; try again.")
        wait = math.ceil(len(self._queue) / self._rate) if self._rate else 1
        error.headers = (("retry-after", str(wait)),)
        return error


def _take(calls: list[Call], max_rows: int) -> tuple[list[Call], list[Call]]:
    """The calls that make the next batch, at least one, and the rest, both in their order."""
    rows = 0
    for index, call in enumerate(calls):
        rows += 1 if call.payload is None else call.payload.rows
        if rows > max_rows and index:
            return calls[:index], calls[index:]
    return calls, []


def run(model: Model, calls: Iterable[Call]) -> list[tuple[Call, Response]]:
    """Decode what is not decoded, predict what can be stacked together, encode each."""
    answers: list[tuple[Call, Response]] = []
    groups: dict[Any, list[tuple[Call, Payload]]] = {}
    for call in calls:
        payload = call.payload if call.payload is not None else attempt(model.decode, call.request)
        if isinstance(payload, Response):
            answers.append((call, payload))
        else:
            key = payload.merge_key
            groups.setdefault(id(call) if key is None else key, []).append((call, payload))
    for group in groups.values():
        for (call, _), outcome in zip(group, _predict(model, [p for _, p in group]), strict=True):
            if isinstance(outcome, Prediction):
                answers.append((call, attempt(model.encode, outcome, call.accept, call.request)))
            else:
                answers.append((call, outcome))
    return answers


def _predict(model: Model, payloads: list[Payload]) -> list[Prediction | Response]:
    """A prediction, or the response that ends the request, for each of equal merge keys."""
    if len(payloads) == 1:
        return [attempt(model.predict, payloads[0])]
    together = attempt(lambda: split(model.predict(stack(payloads)), [p.rows for p in payloads]))
    if isinstance(together, Response):
        # One bad row must not fail its neighbours.
        return [attempt(model.predict, payload) for payload in payloads]
    return list(together)
