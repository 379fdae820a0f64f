"""Models that were loaded before come back."""

import asyncio

import pytest

from serving import registry
from serving.errors import (
    ArchiveNotFound,
    InsufficientStorage,
    ModelConflict,
    ModelNotFound,
    ModelNotReady,
)
from tests.registry.support import RETURNING, SIZE, StoreOf
from tests.support import PATIENCE


class TestReturning:
    """A model that was loaded before keeps its name while it cannot be."""

    async def test_it_is_refused_with_the_reason_until_it_is_tried_again(
        self, store_of: StoreOf, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = store_of()
        store.unfetched["a"] = ArchiveNotFound("/store/a does not exist.")
        error = await asyncio.wait_for(store.open("a", **RETURNING), PATIENCE)
        assert isinstance(error, ModelNotReady)
        assert (store.names, store.budget.used) == (["a"], 0)
        for _ in range(2):
            with pytest.raises(ModelNotReady, match="cannot be loaded again: Model not found"):
                store.send("a")
        with pytest.raises(ModelConflict):
            store.open("a")

        assert "Model a cannot be loaded again" in caplog.text

    async def test_the_next_request_after_a_while_tries_again_and_waits(
        self, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry, "AGAIN_SECONDS", 0.0)

        store = store_of()
        await store.cut("a")
        answer = await store.ask("a")
        assert (answer.status, answer.content_type) == (503, "application/json")
        assert isinstance(answer.body, bytes)
        assert b"Model a cannot be loaded again: It is cut." in answer.body
        del store.unloaded["a"]
        first, second = store.send("a"), store.send("a")
        assert [(await reply.answer()).status for reply in (first, second)] == [200, 200]
        assert store.loads == ["a", "a", "a"]

    async def test_without_room_it_is_507(self, store_of: StoreOf) -> None:
        store = store_of(3)
        store.sizes["a"] = 10 * SIZE
        error = await asyncio.wait_for(store.open("a", **RETURNING), PATIENCE)
        assert isinstance(error, InsufficientStorage)
        with pytest.raises(InsufficientStorage, match="takes 1,000 bytes"):
            store.send("a")
        assert (store.names, store.budget.used, store.used) == (["a"], 0, [])

    async def test_it_can_be_unloaded(self, store_of: StoreOf) -> None:
        store = store_of()
        await store.cut("a")
        await store.unload("a")
        assert store.names == []
        with pytest.raises(ModelNotFound):
            store.send("a")

    async def test_one_that_is_unloaded_while_it_is_tried_again_goes(
        self, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry, "AGAIN_SECONDS", 0.0)

        store = store_of()
        await store.cut("a")
        store.gate.clear()
        waiting = store.send("a")
        gone = store.unloading("a")
        store.gate.set()
        await asyncio.wait_for(gone.wait(), PATIENCE)
        assert (await waiting.answer()).status >= 400
        assert store.names == []
