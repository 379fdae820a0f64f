"""New versions, and the directories that each holds."""

import asyncio

import pytest

from serving.errors import ModelLoadError
from tests.registry.support import SIZE, StoreOf, until
from tests.support import PATIENCE, Fake


class TestVersions:
    async def test_a_new_version_takes_over_without_a_gap(self, store_of: StoreOf) -> None:
        store, old = store_of(), Fake(held=True)
        store.fakes["a"] = old
        await store.opened("a", follows=True)
        begun = store.send("a", b"1")
        old.began()
        new = store.fakes["a"] = Fake()
        store.versions["a"] = 1
        late = store.send("a", b"2")  # the old one takes it, and the new one is looked for
        await until(lambda: store.loads == ["a", "a"])
        old.release(2)
        assert [(await reply.answer()).status for reply in (begun, late)] == [200, 200]
        await until(lambda: store.budget.used == SIZE)
        assert (await store.ask("a", b"3")).body == b"6\n"
        assert new.calls[-1] == [3.0]

    async def test_one_that_cannot_be_loaded_leaves_the_old_one_and_is_tried_once(
        self, store_of: StoreOf, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = store_of()
        await store.opened("a", follows=True)
        store.versions["a"] = 1
        store.unloaded["a"] = ModelLoadError("It is cut.")
        for _ in range(10):
            assert (await store.ask("a")).status == 200
            await until(lambda: not store.registry._opening)
        assert store.loads == ["a", "a"]
        assert store.budget.used == SIZE

        assert "the new version of model a is left out: It is cut." in caplog.text

    async def test_one_whose_old_version_leaves_meanwhile_goes_without_a_word(
        self, store_of: StoreOf, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = store_of()
        await store.opened("a", follows=True)
        store.versions["a"] = 1
        store.gate.clear()
        assert (await store.ask("a")).status == 200
        await store.unload("a")
        store.gate.set()
        await until(lambda: not store.registry._opening)
        assert (store.names, store.budget.used) == ([], 0)
        assert store.metrics.models["failed"] == 0

        assert "left out" not in caplog.text

    async def test_one_that_is_the_same_is_not_loaded_again(self, store_of: StoreOf) -> None:
        store = store_of()
        await store.opened("a", follows=True)
        for _ in range(5):
            await store.ask("a")
            await until(lambda: not store.registry._opening)
        assert store.loads == ["a"]


class TestDirectories:
    """They may be removed when no model uses them, and not before."""

    async def test_a_model_lets_go_of_its_directory_when_it_has_ended(
        self, store_of: StoreOf
    ) -> None:
        store, fake = store_of(), Fake(held=True)
        store.fakes["a"] = fake
        await store.opened("a")
        begun = store.send("a")
        fake.began()
        gone = store.unloading("a")
        assert store.used == [("a", 0)]
        fake.release()
        await begun.answer()
        await asyncio.wait_for(gone.wait(), PATIENCE)
        assert store.used == []

    async def test_one_that_is_evicted_lets_go(self, store_of: StoreOf) -> None:
        store = store_of(1)
        await store.opened("a", "b")
        assert store.used == [("b", 0)]

    async def test_one_that_cannot_be_loaded_lets_go(self, store_of: StoreOf) -> None:
        store = store_of()
        store.unloaded["a"] = ModelLoadError("It is cut.")
        assert await store.open("a") is not None
        assert store.used == []

    async def test_of_two_versions_the_newer_is_used(self, store_of: StoreOf) -> None:
        store = store_of()
        await store.opened("a", follows=True)
        await store.ask("a")  # it looks whether there is a newer one, and finds the same
        await until(lambda: not store.registry._opening)
        assert store.used == [("a", 0)]
        store.versions["a"] = 1
        await store.ask("a")
        await until(lambda: store.used == [("a", 1)])
