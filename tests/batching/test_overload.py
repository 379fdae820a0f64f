"""What a batcher refuses, and when it says to come back."""

import time
from types import SimpleNamespace

import pytest

from serving import batching, execution
from serving.batching import Cost
from serving.errors import Overloaded
from serving.values import Payload, Prediction
from tests.batching.support import DEAR, OVERDUE, DeskOf, lines
from tests.support import Fake


class TestOverload:
    async def test_a_full_queue_refuses_with_a_time_to_come_back(self, desk_of: DeskOf) -> None:
        fake = Fake(held=True)
        desk = desk_of(fake.model(), DEAR, max_queue=2)
        replies = [desk.submit(0)]
        fake.began()
        replies += [desk.submit(1), desk.submit(2)]
        with pytest.raises(Overloaded, match="2 requests wait for the model already") as full:
            desk.submit(3)
        ((name, value),) = full.value.headers
        assert (name, value) == ("retry-after", "1")
        fake.release(2)
        assert [lines(await reply.answer()) for reply in replies] == [[0], [2], [4]]
        fake.release()
        assert lines(await desk.submit(3).answer()) == [6]

    @pytest.mark.parametrize(("seconds", "wait"), [(0.001, 1), (1.0, 3), (10.0, 30), (1e6, 60)])
    async def test_that_time_is_what_the_queue_took_lately_and_bounded(
        self, desk_of: DeskOf, monkeypatch: pytest.MonkeyPatch, seconds: float, wait: int
    ) -> None:
        clock = iter([0.0, 0.0, 0.0, seconds])
        monkeypatch.setattr(execution, "time", SimpleNamespace(monotonic=clock.__next__))
        fake = Fake(held=True)
        desk = desk_of(fake.model(), DEAR, max_queue=3)
        fake.release()
        await desk.submit(0).answer()
        monkeypatch.undo()
        fake.began()
        replies = [desk.submit(number) for number in range(1, 5)]
        with pytest.raises(Overloaded) as full:
            desk.submit(5)
        assert full.value.headers == (("retry-after", str(wait)),)
        fake.release(2)
        for reply in replies:
            await reply.answer()

    async def test_who_waits_no_more_takes_no_place(self, desk_of: DeskOf) -> None:
        fake = Fake(held=True)
        desk = desk_of(fake.model(), DEAR, max_queue=1)
        first = desk.submit(0)
        fake.began()
        assert (await desk.submit(1, within=OVERDUE).answer()).status == 504
        second = desk.submit(2)
        fake.release(2)
        assert [lines(await reply.answer()) for reply in (first, second)] == [[0], [4]]

    async def test_a_turn_of_the_loop_takes_a_burst_but_in_overload_a_few_calls(
        self, desk_of: DeskOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Calls of 0.5 ms; with 300 a turn that is 150 ms of work, and more comes."""

        now = 0.0
        fake = Fake()

        def predict(payload: Payload) -> Prediction:
            nonlocal now
            now += 0.0005
            return fake.predict(payload)

        monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: now))
        desk = desk_of(fake.model(predict=predict), Cost(0.0, 0.0005))

        async def offer(calls: int) -> int:
            replies = []
            for number in range(calls):
                try:
                    desk.batcher.admit(float("inf"))
                except Overloaded:
                    continue
                replies.append(desk.submit(number, key="-"))
            for reply in replies:
                await reply.answer()
            return len(replies)

        assert await offer(1) == 1
        assert await offer(300) == 201
        assert [await offer(300) for _ in range(3)] == [26, 26, 26]
        now += 60.0  # rest
        assert await offer(1) == 1
        assert await offer(100) == 100

    async def test_a_request_that_cannot_be_answered_in_time_is_refused_at_once(
        self, desk_of: DeskOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = iter([0.0, 0.0, 0.0, 10.0])
        monkeypatch.setattr(execution, "time", SimpleNamespace(monotonic=clock.__next__))
        fake = Fake(held=True)
        desk = desk_of(fake.model(), DEAR)
        fake.release()
        await desk.submit(0).answer()
        monkeypatch.undo()
        replies = [desk.submit(1, within=60)]
        fake.began()
        replies += [desk.submit(number, within=60) for number in range(2, 7)]
        with pytest.raises(Overloaded):
            desk.batcher.admit(time.monotonic() + 45)
        desk.batcher.admit(time.monotonic() + 55)
        fake.release(2)
        for reply in replies:
            await reply.answer()
