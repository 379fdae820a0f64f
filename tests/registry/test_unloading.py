"""A model leaves when what was begun has been answered."""

import asyncio

import pytest

from serving import footprint
from serving.errors import ModelLoadError, ModelNotFound
from tests.registry.support import StoreOf
from tests.support import PATIENCE, Fake


class TestUnloading:
    async def test_it_waits_for_what_was_begun_and_then_gives_the_memory_back(
        self, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[str] = []
        monkeypatch.setattr(footprint, "give_back", lambda: given.append("back"))
        store, fake = store_of(), Fake(held=True)
        store.fakes["a"] = fake
        await store.opened("a")
        replies = [store.send("a", b"1"), store.send("a", b"2")]
        fake.began()
        done = store.unloading("a")
        with pytest.raises(ModelNotFound):
            store.send("a")
        assert not done.is_set()
        fake.release(2)
        assert [(await reply.answer()).status for reply in replies] == [200, 200]
        await asyncio.wait_for(done.wait(), PATIENCE)
        assert given == ["back"]
        assert store.budget.used == 0

    async def test_what_is_loading_still_answers_those_who_wait_and_goes(
        self, store_of: StoreOf
    ) -> None:
        store = store_of()
        store.begun("a")
        reply, done = store.send("a"), store.unloading("a")
        store.gate.set()
        assert (await reply.answer()).status == 200
        await asyncio.wait_for(done.wait(), PATIENCE)
        assert store.names == []

    async def test_what_is_being_unloaded_is_not_there_a_second_time(
        self, store_of: StoreOf
    ) -> None:
        store = store_of()
        store.begun("a")
        done = store.unloading("a")
        with pytest.raises(ModelNotFound, match=r"^Model not found: a$"):
            store.registry.unload("a", lambda: None)
        store.gate.set()
        await asyncio.wait_for(done.wait(), PATIENCE)
        await store.opened("a")  # the name is free
        assert (await store.ask("a")).status == 200

    async def test_what_fails_to_load_is_unloaded_too(self, store_of: StoreOf) -> None:
        store = store_of()
        store.unloaded["a"] = ModelLoadError("It is cut.")
        store.begun("a")
        done = store.unloading("a")
        store.gate.set()
        await asyncio.wait_for(done.wait(), PATIENCE)
        assert store.names == []

    async def test_what_is_not_there_cannot_be_unloaded(self, store_of: StoreOf) -> None:
        with pytest.raises(ModelNotFound, match=r"^Model not found: a$"):
            store_of().registry.unload("a", lambda: None)

    async def test_a_model_may_come_again(self, store_of: StoreOf) -> None:
        store = store_of()
        for _ in range(3):
            await store.opened("a")
            assert (await store.ask("a")).status == 200
            await store.unload("a")
        assert (store.names, store.budget.used) == ([], 0)
