"""Who makes room for whom, and what has none."""

import asyncio
import threading

from tests.registry.support import ROOT, SIZE, StoreOf
from tests.support import PATIENCE, Fake


class TestRoom:
    async def test_the_least_recently_used_makes_room(self, store_of: StoreOf) -> None:
        store = store_of(3)
        for _ in range(50):
            store.budget.learn(ROOT, SIZE, SIZE)  # by now it is known what to expect
        await store.opened("a", "b", "c")
        await store.ask("a")
        await store.opened("d")
        assert store.names == ["c", "a", "d"]
        assert store.budget.used == store.budget.limit
        assert store.metrics.models["evicted"] == 1

    async def test_what_was_measured_before_is_expected_again(self, store_of: StoreOf) -> None:
        store = store_of(3)
        await store.opened("a")
        await store.unload("a")
        assert store.budget.expect(ROOT / "a", SIZE) == SIZE

    async def test_one_that_makes_room_answers_first_what_it_has_begun(
        self, store_of: StoreOf
    ) -> None:
        store, fake = store_of(1), Fake(held=True)
        store.fakes["a"] = fake
        await store.opened("a")
        begun = store.send("a", b"4")
        fake.began()
        waiting = store.open("b")
        await asyncio.to_thread(store.gate.wait, PATIENCE)
        fake.release()
        assert (await begun.answer()).body == b"8\n"
        assert await asyncio.wait_for(waiting, PATIENCE) is None
        assert store.names == ["b"]

    async def test_what_shall_stay_is_not_evicted(self, store_of: StoreOf) -> None:
        store = store_of(2)
        await store.opened("a", stays=True)
        for name in "bcd":
            await store.opened(name)
        assert store.names == ["a", "d"]

    async def test_none_is_refused_for_what_another_may_turn_out_to_take(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(6)
        store.sizes["a"] = 450
        store.held["b"] = threading.Event()
        slow = store.open("b", stays=True)  # of which 200 are expected
        assert await asyncio.wait_for(store.open("a", stays=True), PATIENCE) is None
        store.held["b"].set()
        assert await asyncio.wait_for(slow, PATIENCE) is None
        assert store.budget.used == 450 + SIZE

    async def test_what_can_never_fit_is_refused_and_nothing_leaves_for_good(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(3)
        await store.opened("a", stays=True)
        error = await store.refused("big")
        assert error.status == 507
        assert "takes 1,000 bytes of memory; of 300 for all models, 100 are taken" in str(error)
        assert (store.names, store.budget.used) == (["a"], SIZE)

    async def test_what_turned_out_too_large_is_refused_the_next_time_and_nobody_leaves(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(3)
        await store.refused("big")
        for _ in range(50):
            store.budget.learn(ROOT, SIZE, SIZE)  # by now others are expected to be small
        await store.opened("a", "b")
        for _ in range(3):
            error = await asyncio.wait_for(store.open("big"), PATIENCE)
            assert "takes 1,000 bytes of memory; of 300 for all models" in str(error)
        assert (store.names, store.budget.used) == (["a", "b"], 2 * SIZE)
        assert store.loads.count("big") == 1

    async def test_another_version_of_what_was_too_large_is_tried(self, store_of: StoreOf) -> None:
        store = store_of(3)
        await store.refused("big")
        store.versions["big"], store.sizes["big"] = 1, SIZE
        await store.opened("big")
        assert store.names == ["big"]

    async def test_what_was_too_large_beside_one_that_stays_is_tried_when_that_has_gone(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(3)
        await store.opened("a", stays=True)
        await store.refused("big", 3 * SIZE)
        await store.unload("a")
        await store.opened("big")

    async def test_many_that_come_together_all_get_their_turn(self, store_of: StoreOf) -> None:
        store = store_of(2)
        names = [f"m{number}" for number in range(20)]
        settled = [store.open(name) for name in names]
        replies = [store.send(name, b"1") for name in names]
        assert [(await reply.answer()).status for reply in replies] == [200] * 20
        assert await asyncio.gather(*settled) == [None] * 20
        assert store.budget.used <= store.budget.limit
