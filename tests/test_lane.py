"""A thread for an event loop: order, hand-over, and its end."""

import asyncio
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest

from serving.lane import Lane
from tests.conftest import LOOPS, NewLoop
from tests.support import PATIENCE

names = count()


@pytest.fixture
def name() -> Iterator[str]:
    """A name for the lane of a test, whose thread is gone in the end."""
    name = f"lane-{next(names)}"
    yield name
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(PATIENCE)
            assert not thread.is_alive()


async def test_jobs_run_in_one_thread_in_their_order_and_end_on_the_loop(name: str) -> None:
    loop, here = asyncio.get_running_loop(), threading.get_ident()
    lane, done = Lane(name, loop), asyncio.Event()
    seen: list[tuple[int, int, int]] = []

    def then(value: tuple[int, int]) -> None:
        seen.append((*value, threading.get_ident()))
        if len(seen) == 5:
            done.set()

    def job(number: int) -> tuple[int, int]:
        return number, threading.get_ident()

    for number in range(5):
        lane.run(partial(job, number), then)
    await asyncio.wait_for(done.wait(), PATIENCE)
    lane.close()
    assert [number for number, _, _ in seen] == list(range(5))
    assert len({there for _, there, _ in seen}) == 1
    assert here not in {there for _, there, _ in seen}
    assert {back for _, _, back in seen} == {here}


async def test_jobs_that_were_given_before_the_end_are_done(name: str) -> None:
    lane = Lane(name, asyncio.get_running_loop())
    gate, done = threading.Event(), asyncio.Event()
    lane.run(lambda: gate.wait(PATIENCE), lambda _: None)
    lane.run(lambda: None, lambda _: done.set())
    lane.close()
    gate.set()
    await asyncio.wait_for(done.wait(), PATIENCE)


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_a_result_for_a_loop_that_is_closed_is_dropped(new_loop: NewLoop, name: str) -> None:
    gate = threading.Event()

    async def begin() -> None:
        lane = Lane(name, asyncio.get_running_loop())
        lane.run(lambda: gate.wait(PATIENCE), lambda _: pytest.fail("called on a closed loop"))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(begin())
    gate.set()


async def test_a_job_that_never_returns_does_not_keep_the_process_alive(name: str) -> None:
    lane = Lane(name, asyncio.get_running_loop())
    assert name not in {thread.name for thread in threading.enumerate()}
    lane.run(lambda: None, lambda _: None)
    assert [t.daemon for t in threading.enumerate() if t.name == name] == [True]
    lane.close()


async def test_a_waiting_thread_holds_nothing_of_its_last_job(name: str) -> None:
    class Data:
        """Something whose end can be seen."""

    lane, done = Lane(name, asyncio.get_running_loop()), asyncio.Event()
    data = Data()
    ended = weakref.ref(data)
    lane.run(partial(id, data), lambda _: None)
    del data
    lane.run(lambda: None, lambda _: done.set())
    await asyncio.wait_for(done.wait(), PATIENCE)
    assert ended() is None
    lane.close()
