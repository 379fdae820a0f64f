"""Any order of events: every request gets exactly one answer, and it is its own.

The clock and the model's thread are moved by hand, so that an order is an order.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving import batching, problems
from serving.batching import INLINE_SECONDS, Batcher, Cost
from serving.call import Call
from serving.errors import DeadlineExceeded, Overloaded
from serving.metrics import Metrics
from serving.values import Request, Response
from tests.support import Fake, post

MAX_ROWS, MAX_QUEUE, PATIENCE = 4, 3, 5.0
INLINE_ROWS = 2
FOREVER = 1e9


class Client:
    """A request and what came back."""

    def __init__(self, world: "World", number: int, rows: int, key: str, bad: bool) -> None:
        self._world = world
        # Numbers say whose they are; a negative one fails the model.
        self.numbers = [
            (-1 if bad and row == 0 else 1) * (10 * number + row + 1) for row in range(rows)
        ]
        self.key = key
        self.bad = bad
        self.deadline = FOREVER
        self.gone = False
        self.refused = False
        self.answers: list[tuple[float, Response]] = []

    def request(self) -> Request:
        body = "\n".join(map(str, self.numbers)).encode()
        return post(body, self.deadline, key=self.key)

    def send(self, response: Response) -> None:
        self.answers.append((self._world.now, response))

    @property
    def dead(self) -> bool:
        return self.gone or self.deadline <= self._world.now


class Job(NamedTuple):
    job: Callable[[], Any]
    then: Callable[[Any], None]
    dead: frozenset[int]
    """Numbers of those who were gone, or too late, when the job was given."""


class World:
    """A batcher, its clients, its clock and its threads."""

    def __init__(self) -> None:
        self.now = 0.0
        self.clients: list[Client] = []
        self.jobs: deque[Job] = deque()
        self.hung = 0
        self.fake = Fake()
        self.metrics = Metrics()
        self.loop = VirtualLoop(self)
        self.loop.set_exception_handler(self._fail)
        self.failures: list[dict[str, Any]] = []
        cost = Cost(0.0, INLINE_SECONDS / INLINE_ROWS)
        self.batcher = Batcher(
            self.fake.model(),
            cost,
            self.loop,
            max_rows=MAX_ROWS,
            max_queue=MAX_QUEUE,
            metrics=self.metrics,
            patience=PATIENCE,
            hung=self._count,
        )

    def _fail(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(context)

    def _count(self) -> None:
        self.hung += 1

    def submit(self, rows: int, key: str, bad: bool, within: float) -> None:
        client = Client(self, len(self.clients), rows, key, bad)
        client.deadline = self.now + within
        self.clients.append(client)
        call = Call(client.request(), "text/plain", client)
        call.payload = self.fake.decode(call.request)
        try:
            self.batcher.submit(call)
        except (Overloaded, DeadlineExceeded) as error:
            client.refused = True
            client.send(problems.response(error))

    def turn(self) -> None:
        """One turn of the loop."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def finish(self, which: int) -> None:
        """The model's thread, or one that hung, ends a job."""
        if self.jobs:
            self.jobs.rotate(-(which % len(self.jobs)))
            job = self.jobs.popleft()
            before = len(self.fake.calls)
            value = job.job()
            predicted = {abs(int(n)) for call in self.fake.calls[before:] for n in call}
            assert not predicted & job.dead
            self.loop.call_soon(job.then, value)

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def depart(self, which: int) -> None:
        if self.clients:
            self.clients[which % len(self.clients)].gone = True

    def settle(self) -> None:
        """Let all that is under way come to its end."""
        for _ in range(2 * len(self.clients) + 2):
            self.finish(0)
            self.turn()
        self.advance(FOREVER)
        self.turn()
        self.loop.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that goes by the world's clock."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def time(self) -> float:
        return self._world.now


class ManualLane:
    """A model's thread that the test runs."""

    def __init__(self, _name: str, loop: VirtualLoop) -> None:
        self._world = loop._world

    def run(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        dead = {abs(n) for client in self._world.clients if client.dead for n in client.numbers}
        self._world.jobs.append(Job(job, then, frozenset(dead)))

    def close(self) -> None:
        pass


SUBMIT = st.tuples(
    st.just("submit"),
    st.integers(1, 6),
    st.sampled_from(["a", "b", "-"]),
    st.sampled_from([False, False, True]),
    st.sampled_from([1.0, 2.0, FOREVER]),
)
EVENTS = st.lists(
    SUBMIT
    | st.tuples(st.just("turn"))
    | st.tuples(st.just("finish"), st.integers(0, 3))
    | st.tuples(st.just("advance"), st.sampled_from([0.5, 1.0, PATIENCE]))
    | st.tuples(st.just("depart"), st.integers(0, 9)),
    max_size=40,
)


def play(events: list[tuple[Any, ...]]) -> World:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "Lane", ManualLane)
        world = World()
        patch.setattr(batching, "time", SimpleNamespace(monotonic=world.loop.time))
        for name, *arguments in events:
            getattr(world, name)(*arguments)
        world.settle()
    assert world.failures == []
    return world


LATE_WHEN_THE_MODEL_BECOMES_FREE = [
    ("submit", 3, "a", False, FOREVER),
    ("submit", 3, "a", False, 1.0),
    ("advance", 1.0),
    ("finish", 0),
    ("turn",),
]


@given(EVENTS)
@example(LATE_WHEN_THE_MODEL_BECOMES_FREE)
def test_every_request_gets_exactly_one_answer_and_it_is_its_own(
    events: list[tuple[Any, ...]],
) -> None:
    world = play(events)
    predicted = {number for call in world.fake.calls for number in call}
    for client in world.clients:
        if client.gone and not client.answers:
            continue
        ((when, response),) = client.answers
        body = cast("bytes", response.body)
        if response.status == 200:
            doubled = "".join(f"{2 * number:g}\n" for number in client.numbers)
            assert body == doubled.encode()
            assert not client.bad
        elif response.status == 500:
            assert client.bad
        elif response.status == 504:
            assert when >= client.deadline
            assert (b"ran out of time in the model" in body) == (client.numbers[0] in predicted)
        else:
            assert response.status == 503


@given(EVENTS)
def test_no_call_of_the_model_has_more_rows_than_allowed_or_mixes_keys(
    events: list[tuple[Any, ...]],
) -> None:
    world = play(events)
    owners = {number: client for client in world.clients for number in client.numbers}
    for call in world.fake.calls:
        clients = {id(client): client for client in (owners[int(n)] for n in call)}.values()
        assert len({client.key for client in clients}) == 1
        assert len(clients) == 1 or (len(call) <= MAX_ROWS and "-" not in {c.key for c in clients})
        assert call == [n for client in clients for n in client.numbers]


@given(EVENTS)
def test_a_model_that_answers_in_time_is_never_taken_to_hang(
    events: list[tuple[Any, ...]],
) -> None:
    prompt = [event for event in events if event[0] != "advance"]
    assert play(prompt).hung == 0


@given(EVENTS)
def test_every_answer_is_counted_once(events: list[tuple[Any, ...]]) -> None:
    world = play(events)
    taken = [client for client in world.clients if not client.refused]
    answers = Counter(response.status for client in taken for _, response in client.answers)
    assert world.metrics.requests == answers
    assert world.metrics.waiting == 0
