"""The loop that runs while somebody waits: callbacks in their order, and asyncio's where needed."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from serving.hosts.turns import Turns


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    yield made
    made.close()


@pytest.fixture(params=[False, True], ids=["callbacks", "asyncio"])
def either(request: pytest.FixtureRequest, turns: Turns) -> Turns:
    if request.param:
        turns.asyncio()
    return turns


def test_callbacks_are_called_in_their_order(either: Turns) -> None:
    called: list[int] = []
    for number in (1, 2):
        either.call_soon(called.append, number)
    either.call_soon(either.stop)
    either.run_forever()
    assert called == [1, 2]


def test_timers_are_called_in_the_order_of_their_times(either: Turns) -> None:
    called: list[str] = []
    either.call_later(0.02, either.stop)
    either.call_later(0.01, called.append, "second")
    either.call_later(0.0, called.append, "first")
    either.run_forever()
    assert called == ["first", "second"]


def test_a_timer_that_is_cancelled_is_not_called(either: Turns) -> None:
    called: list[str] = []
    either.call_later(0.0, called.append, "cancelled").cancel()
    either.call_later(0.01, either.stop)
    either.run_forever()
    assert called == []


def test_another_thread_wakes_it(either: Turns) -> None:
    thread = threading.Thread(target=either.call_soon_threadsafe, args=(either.stop,))
    either.call_soon(thread.start)
    either.run_forever()
    thread.join()


def test_to_stop_it_while_it_stands_still_has_no_effect(either: Turns) -> None:
    called: list[str] = []
    either.stop()
    either.call_soon(called.append, "called")
    either.call_soon(either.stop)
    either.run_forever()
    assert called == ["called"]


def test_what_was_to_be_called_is_still_called_by_asyncio(turns: Turns) -> None:
    called: list[str] = []
    turns.call_soon(called.append, "soon")
    turns.call_later(0.0, called.append, "later")
    turns.call_later(0.0, called.append, "cancelled").cancel()
    turns.call_later(0.01, turns.stop)
    turns.asyncio()
    turns.run_forever()
    assert called == ["soon", "later"]


def test_it_becomes_one_loop_of_asyncio(turns: Turns) -> None:
    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = turns.asyncio()
    assert loop.run_until_complete(turns.create_task(running())) is loop is turns.asyncio()


def test_a_thread_is_told_that_it_is_closed(either: Turns) -> None:
    either.close()
    with pytest.raises(RuntimeError, match="closed"):
        either.call_soon_threadsafe(print)
