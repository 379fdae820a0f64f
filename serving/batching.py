"""Requests into batches: whatever waits when the model becomes free is the next batch.

There is no timer to tune. A prediction whose measured cost is small runs on the event loop: the
requests that arrived in one turn of the loop are predicted together at its end. Anything slower
runs in the model's own thread, so that one request never stalls another. What would wait too long
is refused at once, see admission.py.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple

from serving.admission import Gate, overloaded
from serving.call import Call, too_late
from serving.execution import Outcome, run
from serving.lane import Lane
from serving.metrics import Metrics
from serving.model import Model
from serving.problems import response
from serving.values import Response

if TYPE_CHECKING:
    import asyncio

INLINE_SECONDS = 0.002
"""Longest prediction that runs on the event loop. A hand-over to a thread and back costs around
0.1 ms and twice that under load; a stall of 2 ms on the loop is not felt."""


TURN_SECONDS = 0.0125
"""Work of one turn of the loop that is never refused. Requests come in lumps, since clients and the
kernel are not always awake; a shorter turn would leave the loop with nothing to do after each."""


class Cost(NamedTuple):
    """What a prediction costs, in seconds, as measured when the model was loaded."""

    fixed: float
    per_row: float

    def rows_within(self, seconds: float) -> int:
        """Most rows one call can take in that time; 0 if even one row takes longer."""
        if self.fixed + self.per_row > seconds:
            return 0
        return int((seconds - self.fixed) / self.per_row) if self.per_row > 0 else 1_000_000


class Batcher:
    """The queue of one model. All methods are called on the event loop."""

    def __init__(
        self,
        model: Model,
        cost: Cost,
        loop: "asyncio.AbstractEventLoop",
        *,
        max_rows: int,
        max_queue: int,
        metrics: Metrics | None = None,
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
            metrics: Counts what happens.
            patience: Seconds after which a batch is taken to hang. Its calls are answered when
                their own time is over; those that wait go on in a new thread.
            hung: Called when that happens. The old thread cannot be ended, only its process.
        """
        self._model = model
        self._loop = loop
        self._max_rows = max_rows
        self._inline_rows = 0 if model.foreign else min(max_rows, cost.rows_within(INLINE_SECONDS))
        self._merge_key = model.merge_key
        self._turn: list[Call] = []
        self._turn_gate = Gate(steady=TURN_SECONDS)
        self._queue: deque[Call] = deque()
        self._gate = Gate(max_queue)
        self._metrics = metrics or Metrics()
        self._counted = 0  # of the queue, in the metrics
        self._patience = patience
        self._hung = hung
        # What is a user's may not bear to be called in two threads.
        lanes = 1 if model.foreign else model.overlap
        self._lanes = [self._new_lane() for _ in range(lanes)]  # those with nothing to do
        self._watches: dict[Lane, asyncio.TimerHandle] = {}  # of those with a batch
        self._ahead = 0  # calls of the batch begun last

    def admit(self, deadline: float) -> None:
        """Return if a call that comes now can be answered in time, before anything is spent on it.

        Raises:
            Overloaded: it cannot.
        """
        if not self._inline_rows:
            self._admit(deadline - time.monotonic())
        elif not self._turn_gate.admits(len(self._turn)):
            raise overloaded(len(self._turn), self._turn_gate.rate)

    def submit(self, call: Call) -> None:
        """Take a call. Its payload is decoded, or is None where decoding is the model's thread's.

        Raises:
            Overloaded: the queue is full, or would take too long.
            DeadlineExceeded: the deadline has passed.
        """
        payload = call.payload
        if payload is not None and payload.rows <= self._inline_rows:
            if not self._turn:
                self._loop.call_soon(self._run_turn)
                self._turn_gate.busy(time.monotonic())
            self._turn.append(call)
            return
        delay = call.request.deadline - time.monotonic()
        if delay <= 0:
            raise too_late("before")
        self._admit(delay)
        if delay < math.inf:
            call.timer = self._loop.call_later(delay, self._expire, call)
        self._queue.append(call)
        self._count_waiting()
        if not self._watches:
            self._gate.busy(time.monotonic())
        self._advance()

    @property
    def idle(self) -> bool:
        """Whether no call waits or is being answered."""
        return not self._turn and not self._queue and not self._watches

    def close(self) -> None:
        """End the model's threads after the batches they run."""
        for lane in (*self._lanes, *self._watches):
            lane.close()

    def _admit(self, within: float) -> None:
        waiting = len(self._queue)
        if not self._gate.admits(waiting, within):
            raise overloaded(waiting, self._gate.rate)

    def _count_waiting(self) -> None:
        waiting = len(self._queue)
        self._metrics.waiting += waiting - self._counted
        self._counted = waiting

    def _run_turn(self) -> None:
        turn, self._turn, began = self._turn, [], time.monotonic()
        alive = [call for call in turn if self._alive(call, began)]
        rest, predictions = alive, 0
        while rest:
            batch, rest = _take(rest, self._inline_rows)
            outcome = run(self._model, batch)
            predictions += len(outcome.rows)
            self._finish(outcome)
        if alive:
            self._turn_gate.free(began, time.monotonic(), len(alive), predictions)

    def _alive(self, call: Call, now: float) -> bool:
        """Whether anybody waits for the answer still; if not, the call is done with."""
        if call.reply.gone:
            call.abandon()
        elif call.request.deadline <= now:
            self._answer(call, response(too_late("before"), call.request), now)
        else:
            return True
        return False

    def _new_lane(self) -> Lane:
        return Lane(f"model-{self._model.engine}", self._loop)

    def _advance(self) -> None:
        """Begin the next batch, if it is time for it and a thread is free.

        While another is predicted, that is when as many wait: a batch that is begun at the first
        call would be one of few, and the rest would wait for two.
        """
        if self._lanes and (not self._watches or len(self._queue) >= self._ahead):
            self._start()

    def _start(self) -> None:
        started = time.monotonic()
        waiting, late = [], []
        for call in self._queue:
            if call.reply.gone:
                call.abandon()
            elif call.request.deadline > started:
                waiting.append(call)
            else:
                late.append(call)  # its timer is due
        batch, rest = self._next(waiting) if waiting else ([], [])
        self._queue = deque(late + rest)
        self._count_waiting()
        if batch:
            lane = self._lanes.pop()
            patience = min(self._patience, 1e6)
            self._watches[lane] = self._loop.call_later(patience, self._give_up, lane)
            self._ahead = len(batch)
            lane.run(lambda: run(self._model, batch), lambda outcome: self._done(lane, outcome))

    def _next(self, calls: list[Call]) -> tuple[list[Call], list[Call]]:
        """The next batch, and the rest in its order.

        What does not stack is predicted call by call, and all answers of a batch come together:
        only as many share one as cost little more than to give the thread a batch.
        """
        key = self._key(calls[0])
        mates = [call for call in calls if self._key(call) == key]
        if key is None:
            cost = self._gate.alone or INLINE_SECONDS
            batch = mates[: max(1, int(INLINE_SECONDS / cost))]
        else:
            batch, _ = _take(mates, self._max_rows)
        chosen = set(batch)
        return batch, [call for call in calls if call not in chosen]

    def _key(self, call: Call) -> Hashable:
        return self._merge_key if call.payload is None else call.payload.merge_key

    def _done(self, lane: Lane, outcome: Outcome) -> None:
        watch = self._watches.pop(lane, None)
        if watch is not None:
            watch.cancel()
            self._lanes.append(lane)
        answers, predictions = len(outcome.answers), len(outcome.rows)
        self._gate.free(outcome.started, outcome.encoded, answers, predictions)
        self._finish(outcome)
        if self._queue:  # unless a reply has brought a request, and that the next batch
            self._advance()

    def _finish(self, outcome: Outcome) -> None:
        """Count what the batch cost, and send the answers."""
        stages, batches = self._metrics.stages, self._metrics.batches
        count = len(outcome.answers)
        predict = outcome.predicted - outcome.decoded
        encode = (outcome.encoded - outcome.predicted) / count
        stages["predict"].observe(predict, count)
        stages["encode"].observe(encode, count)
        for rows in outcome.rows:
            batches.observe(rows)
        wait_of, decode_of = stages["wait"].observe, stages["decode"].observe
        each = (outcome.decoded - outcome.started) / count
        now = time.monotonic()
        for call, answer in outcome.answers:
            wait = outcome.started - call.ready
            # What the model's thread decoded was not ready before.
            decode = call.ready - call.began if call.payload else each
            wait_of(wait)
            decode_of(decode)
            call.stages = wait, decode, predict, encode
            self._answer(call, answer, now)

    def _answer(self, call: Call, answer: Response, now: float) -> None:
        if not call.finished:
            self._metrics.answered(answer.status, now - call.began)
            call.finish(answer)

    def _give_up(self, lane: Lane) -> None:
        """The batch hangs: leave its thread to itself."""
        lane.close()
        del self._watches[lane]
        self._lanes.append(self._new_lane())
        self._hung()
        if self._queue:
            self._advance()

    def _expire(self, call: Call) -> None:
        waiting = call in self._queue
        if waiting:
            self._queue.remove(call)
            self._count_waiting()
        where = "waiting for" if waiting else "in"
        self._answer(call, response(too_late(where), call.request), time.monotonic())


def _take(calls: list[Call], max_rows: int) -> tuple[list[Call], list[Call]]:
    """The calls that make the next batch, at least one, and the rest, both in their order."""
    rows = 0
    for index, call in enumerate(calls):
        rows += 1 if call.payload is None else call.payload.rows
        if rows > max_rows and index:
            return calls[:index], calls[index:]
    return calls, []
