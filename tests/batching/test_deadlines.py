"""Who is no longer waited for, and calls that do not return."""

import asyncio

import pytest

from serving.errors import DeadlineExceeded
from tests.batching.support import CHEAP, DEAR, OVERDUE, DeskOf, lines, message
from tests.support import Fake


class TestTheDead:
    """Who has left, and whose time is over, costs nothing."""

    async def test_who_has_left_never_reaches_the_model(self, desk_of: DeskOf) -> None:
        fake = Fake(held=True)
        desk = desk_of(fake.model(), DEAR)
        first = desk.submit(1)
        fake.began()
        left, stays = desk.submit(2, within=60), desk.submit(3)
        left.gone = True
        fake.release(2)
        assert lines(await stays.answer()) == [6]
        assert lines(await first.answer()) == [2]
        assert (left.answers, fake.calls) == ([], [[1], [3]])

    async def test_nor_does_a_call_of_a_cheap_model_that_nobody_waits_for(
        self, desk_of: DeskOf
    ) -> None:
        fake = Fake()
        desk = desk_of(fake.model(), CHEAP)
        left, late, stays = desk.submit(1), desk.submit(2, within=-1), desk.submit(3)
        left.gone = True
        assert lines(await stays.answer()) == [6]
        assert (await late.answer()).status == 504
        assert (left.answers, fake.calls) == ([], [[3]])
        left = desk.submit(4)
        left.gone = True
        await asyncio.sleep(0)
        assert lines(await desk.submit(5).answer()) == [10]
        assert fake.calls == [[3], [5]]

    async def test_the_hanging_models_request_is_answered_at_its_deadline_and_not_again(
        self, desk_of: DeskOf
    ) -> None:
        fake = Fake(held=True)
        desk = desk_of(fake.model(), DEAR)
        reply = desk.submit(1, within=OVERDUE)
        fake.began()
        answer = await reply.answer()
        assert (answer.status, message(answer)) == (
            504,
            "The request ran out of time in the model.",
        )
        after = desk.submit(2)
        fake.release(2)
        assert lines(await after.answer()) == [4]
        assert reply.answers == [answer]

    async def test_whose_time_is_over_while_waiting_never_reaches_the_model(
        self, desk_of: DeskOf
    ) -> None:
        fake = Fake(held=True)
        desk = desk_of(fake.model(), DEAR)
        first = desk.submit(1)
        fake.began()
        late, patient = desk.submit(2, within=OVERDUE), desk.submit(3, within=60)
        answer = await late.answer()
        assert (answer.status, message(answer)) == (
            504,
            "The request ran out of time waiting for the model.",
        )
        fake.release(2)
        assert lines(await patient.answer()) == [6]
        assert lines(await first.answer()) == [2]
        assert fake.calls == [[1], [3]]
        assert late.answers == [answer]

    async def test_whose_time_was_over_before_is_refused_at_once(self, desk_of: DeskOf) -> None:
        fake = Fake()
        desk = desk_of(fake.model(), DEAR)
        with pytest.raises(DeadlineExceeded):
            desk.submit(1, within=-1)
        assert lines(await desk.submit(2).answer()) == [4]
        assert fake.calls == [[2]]


class TestHanging:
    """A batch that does not return within the batcher's patience."""

    async def test_those_that_wait_go_on_in_a_new_thread_and_the_owner_hears_of_it(
        self, desk_of: DeskOf
    ) -> None:
        fake, hung = Fake(held=True), asyncio.Event()
        desk = desk_of(fake.model(), DEAR, patience=OVERDUE, hung=hung.set)
        stuck = desk.submit(1)
        fake.began()
        first = fake.threads["predict"]
        waiting = desk.submit(2)
        await asyncio.wait_for(hung.wait(), 20)
        fake.began()
        assert fake.threads["predict"] != first
        fake.release(2)
        assert [lines(await reply.answer()) for reply in (stuck, waiting)] == [[2], [4]]
        fake.release()
        assert lines(await desk.submit(3).answer()) == [6]
