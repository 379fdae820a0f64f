"""A GPU's memory is room of its own."""

import asyncio

import pytest

from serving import footprint
from serving.errors import InsufficientStorage
from tests.registry.support import SIZE, StoreOf, until
from tests.support import PATIENCE, Fake


class TestGpu:
    """Room on the GPU. A model's size there is that which the test says, or none."""

    async def test_the_least_recently_used_on_it_makes_room_and_no_other(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(gpu=250)
        store.gpu_sizes = {"a": 100, "b": 100, "c": 120}
        store.gpu_really = 1000
        await store.opened("cpu", "a", "b")
        assert (store.gpu.used, store.metrics.model_gpu_bytes) == (200, 200)
        await store.ask("a")
        await store.opened("c")
        assert store.names == ["cpu", "a", "c"]
        assert (store.gpu.used, store.metrics.model_gpu_bytes) == (220, 220)
        assert store.metrics.models["evicted"] == 1
        assert store.budget.used == 3 * SIZE

    async def test_for_memory_of_the_machine_any_makes_room(self, store_of: StoreOf) -> None:
        store = store_of(2, gpu=1000)
        store.gpu_sizes = {"b": 100, "c": 100}
        for name in ("cpu", "b", "c"):
            await store.opened(name)
        assert store.names == ["c"]
        assert store.gpu.used == 100

    async def test_what_it_took_before_is_there_before_it_is_loaded(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(gpu=200)
        store.gpu_sizes = {"a": 150, "b": 100}
        await store.opened("b")
        await store.unload("b")
        await store.opened("a", "b")
        assert store.names == ["b"]
        assert store.loads == ["b", "a", "b"]  # never without the room

    async def test_when_it_was_full_a_model_is_loaded_again_as_soon_as_others_have_left(
        self, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        emptied: list[list[str]] = []
        store, fake = store_of(gpu=250), Fake(held=True)
        monkeypatch.setattr(footprint, "caches", [lambda: emptied.append([*store.loads])])
        store.gpu_sizes = {"a": 100, "b": 100, "new": 180}
        store.fakes["a"] = fake
        await store.opened("a", "cpu", "b")
        begun = store.send("a", b"4")
        fake.began()
        opened, waiting = store.open("new"), store.send("new", b"3")
        await until(lambda: store.names == ["cpu", "new"])
        assert not opened.done()
        fake.release()
        assert (await begun.answer()).body == b"8\n"
        assert await asyncio.wait_for(opened, PATIENCE) is None
        assert (await waiting.answer()).body == b"6\n"
        assert store.names == ["cpu", "new"]
        # A model that has left may be in a library's cache still.
        assert ["a", "cpu", "b", "new"] in emptied
        assert store.loads == ["a", "cpu", "b", "new", "new", "new"]

    async def test_what_has_no_room_there_is_refused_and_others_leave_in_vain_only_once(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(gpu=250)
        store.gpu_sizes = {"a": 100, "pinned": 50, "big": 230}
        await store.opened("pinned", stays=True)
        await store.opened("cpu")
        for staying in ([], ["a"]):
            await store.opened("a")
            error = await asyncio.wait_for(store.open("big"), PATIENCE)
            assert isinstance(error, InsufficientStorage)
            assert error.status == 507
            assert str(error) == (
                "There is no memory for model big. The model failed to load: It does not load."
            )
            assert store.names == ["pinned", "cpu", *staying]
        assert store.loads == ["pinned", "cpu", "a", "big", "big", "a", "big"]

    async def test_one_that_exceeds_what_models_may_take_is_refused(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(gpu=250)
        store.gpu_really = 1000
        store.gpu_sizes = {"a": 100, "pinned": 50, "big": 230}
        await store.opened("pinned", stays=True)
        await store.opened("a")
        error = await asyncio.wait_for(store.open("big"), PATIENCE)
        assert str(error) == (
            "Model big takes 230 bytes of GPU memory; of 250 for all models, 50 are taken by "
            "those that stay."
        )
        assert store.names == ["pinned", "a"]
        assert (store.gpu.used, store.budget.used) == (150, 2 * SIZE)

    async def test_where_two_versions_have_no_room_beside_each_other_the_new_one_is_waited_for(
        self, store_of: StoreOf
    ) -> None:
        store = store_of(gpu=250)
        store.gpu_sizes = {"a": 200}
        await store.opened("a", follows=True)
        store.versions["a"] = 1
        assert (await store.ask("a", b"1")).body == b"2\n"
        await until(lambda: store.loads == ["a", "a"])
        assert (await store.ask("a", b"2")).body == b"4\n"
        assert (store.names, store.gpu.used, store.budget.used) == (["a"], 200, SIZE)

    async def test_many_that_come_together_all_get_their_turn(self, store_of: StoreOf) -> None:
        store = store_of(gpu=250)
        names = [f"m{number}" for number in range(12)]
        store.gpu_sizes = dict.fromkeys(names[::2], 100)
        settled = [store.open(name) for name in names]
        assert await asyncio.gather(*settled) == [None] * 12
        assert store.gpu.used <= store.gpu.limit
        assert set(store.names) >= set(names[1::2])
