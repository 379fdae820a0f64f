"""Many models: loaded once each, kept while there is room, and never taken from who uses them."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import footprint, loading, registry
from serving.budget import Budget
from serving.errors import (
    ArchiveError,
    ArchiveNotFound,
    InsufficientStorage,
    ModelConflict,
    ModelLoadError,
    ModelNotFound,
    ModelNotReady,
)
from serving.gpu import Gpus
from serving.loader import Loader
from serving.loading import Loaded
from serving.registry import Fetched, Registry
from serving.service import Tools
from serving.settings import Settings
from serving.values import Response
from serving.warmup import UNKNOWN
from tests.conftest import MakeSettings
from tests.support import PATIENCE, Fake, Recorder, Run, post

ROOT = Path("/store")
SIZE = 100
"""Of each model, in memory and on disk, unless a test says otherwise."""

RETURNING = {"stays": True, "returns": True}
"""How a model is opened that was loaded before."""


class Store:
    """Models that are fetched and loaded when a test lets them, and a registry that asks for them.

    The model of a name has its own fake; a name may have an error instead, when it is fetched or
    when it is loaded.
    """

    def __init__(self, settings: Settings, limit: int, gpu: int) -> None:
        loop = asyncio.get_running_loop()
        tools = Tools.of(settings, loop)
        self.budget = Budget(limit)
        self.gpu = Budget(gpu, guess=0.0)
        self.metrics = tools.metrics
        self.broken: list[Any] = []
        self.registry = Registry(
            tools, Loader(tools), self.fetch, self.budget, self.broken.append, self.gpu
        )
        self.fakes: dict[str, Fake] = {}
        self.sizes: dict[str, int] = {}
        self.gpu_sizes: dict[str, int] = {}
        self.gpu_really = gpu  # its memory, whatever the budget
        self.versions: dict[str, int] = {}
        self.unfetched: dict[str, BaseException] = {}
        self.unloaded: dict[str, BaseException] = {}
        self.loads: list[str] = []
        self.used: list[tuple[str, int]] = []
        """Versions of directories that were not let go of yet."""
        self.held: dict[str, threading.Event] = {}
        self.gate = threading.Event()
        self.gate.set()
        self._tools = tools

    def fetch(self, url: str) -> Fetched:
        name = Path(url).name
        assert self.gate.wait(PATIENCE)
        if name in self.unfetched:
            raise self.unfetched[name]
        version = self.versions.get(name, 0)
        self.used.append((name, version))
        return Fetched(ROOT / name, SIZE, version, lambda: self.used.remove((name, version)))

    def load(self, folder: Path, _settings: Settings, _gpus: Gpus) -> Loaded:
        name, gpu_size = folder.name, self.gpu_sizes.get(folder.name, 0)
        self.loads.append(name)
        if name in self.held:
            assert self.held[name].wait(PATIENCE)
        if name in self.unloaded:
            raise self.unloaded[name]
        loaded = [place.gpu_bytes for place in self.registry.places() if place.entry is not None]
        if gpu_size > self.gpu_really - sum(loaded):
            raise ModelLoadError("It does not load.") from RuntimeError("CUDA out of memory.")
        fake = self.fakes.setdefault(name, Fake())
        model = fake.model(devices=("cuda:0" if gpu_size else "cpu",))
        return Loaded(model, UNKNOWN, self.sizes.get(name, SIZE), gpu_size)

    def open(self, name: str, **how: Any) -> "asyncio.Future[BaseException | None]":
        settled: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.registry.open(name, str(ROOT / name), settled.set_result, **how)
        return settled

    async def opened(self, *names: str, **how: Any) -> None:
        for name in names:
            assert await asyncio.wait_for(self.open(name, **how), PATIENCE) is None

    def send(self, name: str, body: bytes = b"1") -> Recorder:
        reply = Recorder()
        self.registry.ask(name, post(body), reply)
        return reply

    async def ask(self, name: str, body: bytes = b"1") -> Response:
        return await self.send(name, body).answer()

    async def unload(self, name: str) -> None:
        done = asyncio.Event()
        self.registry.unload(name, done.set)
        await asyncio.wait_for(done.wait(), PATIENCE)

    @property
    def names(self) -> list[str]:
        """Least recently used first."""
        return [place.name for place in self.registry.places()]

    def close(self) -> None:
        self.registry.close()
        self._tools.decoder.close()


StoreOf = Callable[..., Store]


@pytest.fixture
def store_of(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreOf]:
    """A store with room for so many models of the usual size."""
    stores: list[Store] = []

    def make(models: float = 100, gpu: int = 0, **given: Any) -> Store:
        settings = make_settings(**{"repository_seconds": 0.0, **given})
        store = Store(settings, int(models * SIZE), gpu)
        stores.append(store)
        monkeypatch.setattr(loading, "load", store.load)
        return store

    yield make
    for store in stores:
        store.close()


class TestLoading:
    def test_a_model_that_was_opened_answers(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            await store.opened("a", "b")
            assert (await store.ask("a", b"2")).body == b"4\n"
            assert (await store.ask("b", b"3")).body == b"6\n"
            assert store.budget.used == 2 * SIZE
            assert store.metrics.models["loaded"] == 2

        run(scenario())

    def test_those_who_ask_while_it_loads_wait_for_one_load(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of()
            store.gate.clear()
            settled = store.open("a")
            replies = [store.send("a", b"%d" % number) for number in range(5)]
            with pytest.raises(ModelConflict, match=r"^Model a is already registered\.$"):
                store.open("a")
            assert [reply.answers for reply in replies] == [[]] * 5
            store.gate.set()
            answers = [await reply.answer() for reply in replies]
            assert [answer.body for answer in answers] == [b"%d\n" % (2 * n) for n in range(5)]
            assert await settled is None
            assert store.loads == ["a"]

        run(scenario())

    def test_who_has_left_meanwhile_costs_nothing(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            store.gate.clear()
            settled, gone = store.open("a"), store.send("a")
            gone.gone = True
            store.gate.set()
            await settled
            assert (await store.ask("a", b"5")).status == 200
            assert store.fakes["a"].calls == [[5.0]]
            assert gone.answers == []

        run(scenario())

    def test_whose_time_is_over_while_it_loads_is_told_so(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of()
            store.gate.clear()
            store.open("a")
            reply = Recorder()
            store.registry.ask("a", post(b"1", deadline=0.0), reply)
            answer = await reply.answer()
            assert answer.status == 503
            assert isinstance(answer.body, bytes)
            assert b"loading still" in answer.body
            store.gate.set()
            assert (await store.ask("a")).status == 200
            assert len(reply.answers) == 1

        run(scenario())

    def test_no_more_wait_than_may(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(max_queue=2)
            store.gate.clear()
            store.open("a")
            replies = [store.send("a"), store.send("a")]
            with pytest.raises(Exception, match="2 requests wait"):
                store.send("a")
            store.gate.set()
            assert [(await reply.answer()).status for reply in replies] == [200, 200]

        run(scenario())

    @pytest.mark.parametrize(
        ("errors", "error", "status"),
        [
            ("unfetched", ArchiveError("It is refused."), 500),
            ("unloaded", ModelLoadError("It is cut."), 500),
            ("unloaded", ValueError("a script's"), 500),
            ("unloaded", MemoryError(), 507),
        ],
    )
    def test_a_load_that_fails_leaves_nothing(
        self, run: Run, store_of: StoreOf, errors: str, error: BaseException, status: int
    ) -> None:
        async def scenario() -> None:
            store = store_of()
            failing: dict[str, BaseException] = getattr(store, errors)
            failing["a"] = error
            store.gate.clear()
            settled, reply = store.open("a"), store.send("a")
            store.gate.set()
            assert await asyncio.wait_for(settled, PATIENCE) is not None
            assert (await reply.answer()).status == status
            assert (store.names, store.budget.used) == ([], 0)
            with pytest.raises(ModelNotFound, match=r"^Model not found: a$"):
                store.send("a")
            del failing["a"]
            await store.opened("a")
            assert (await store.ask("a")).status == 200

        run(scenario())

    def test_what_is_not_at_its_address_is_not_found(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            store.unfetched["a"] = ArchiveNotFound("/store/a does not exist.")
            told = await asyncio.wait_for(store.open("a"), PATIENCE)
            assert isinstance(told, ModelNotFound)
            assert str(told) == "Model not found in model store: /store/a"

        run(scenario())


class TestUnloading:
    def test_it_waits_for_what_was_begun_and_then_gives_the_memory_back(
        self, run: Run, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario() -> None:
            given: list[str] = []
            monkeypatch.setattr(footprint, "give_back", lambda: given.append("back"))
            store, fake = store_of(), Fake(held=True)
            store.fakes["a"] = fake
            await store.opened("a")
            replies = [store.send("a", b"1"), store.send("a", b"2")]
            fake.began()
            done = asyncio.Event()
            store.registry.unload("a", done.set)
            with pytest.raises(ModelNotFound):
                store.send("a")
            assert not done.is_set()
            fake.release(2)
            assert [(await reply.answer()).status for reply in replies] == [200, 200]
            await asyncio.wait_for(done.wait(), PATIENCE)
            assert given == ["back"]
            assert store.budget.used == 0

        run(scenario())

    def test_what_is_loading_still_answers_those_who_wait_and_goes(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of()
            store.gate.clear()
            store.open("a")
            reply, done = store.send("a"), asyncio.Event()
            store.registry.unload("a", done.set)
            store.gate.set()
            assert (await reply.answer()).status == 200
            await asyncio.wait_for(done.wait(), PATIENCE)
            assert store.names == []

        run(scenario())

    def test_what_is_being_unloaded_is_not_there_a_second_time(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of()
            store.gate.clear()
            store.open("a")
            done = asyncio.Event()
            store.registry.unload("a", done.set)
            with pytest.raises(ModelNotFound, match=r"^Model not found: a$"):
                store.registry.unload("a", lambda: None)
            store.gate.set()
            await asyncio.wait_for(done.wait(), PATIENCE)
            await store.opened("a")  # the name is free
            assert (await store.ask("a")).status == 200

        run(scenario())

    def test_what_fails_to_load_is_unloaded_too(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            store.gate.clear()
            store.unloaded["a"] = ModelLoadError("It is cut.")
            store.open("a")
            done = asyncio.Event()
            store.registry.unload("a", done.set)
            store.gate.set()
            await asyncio.wait_for(done.wait(), PATIENCE)
            assert store.names == []

        run(scenario())

    def test_what_is_not_there_cannot_be_unloaded(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            with pytest.raises(ModelNotFound, match=r"^Model not found: a$"):
                store_of().registry.unload("a", lambda: None)

        run(scenario())

    def test_a_model_may_come_again(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            for _ in range(3):
                await store.opened("a")
                assert (await store.ask("a")).status == 200
                await store.unload("a")
            assert (store.names, store.budget.used) == ([], 0)

        run(scenario())


class TestRoom:
    def test_the_least_recently_used_makes_room(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(3)
            for _ in range(50):
                store.budget.learn(ROOT, SIZE, SIZE)  # by now it is known what to expect
            await store.opened("a", "b", "c")
            await store.ask("a")
            await store.opened("d")
            assert store.names == ["c", "a", "d"]
            assert store.budget.used == store.budget.limit
            assert store.metrics.models["evicted"] == 1

        run(scenario())

    def test_what_was_measured_before_is_expected_again(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(3)
            await store.opened("a")
            await store.unload("a")
            assert store.budget.expect(ROOT / "a", SIZE) == SIZE

        run(scenario())

    def test_one_that_makes_room_answers_first_what_it_has_begun(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_what_shall_stay_is_not_evicted(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(2)
            await store.opened("a", stays=True)
            for name in "bcd":
                await store.opened(name)
            assert store.names == ["a", "d"]

        run(scenario())

    def test_none_is_refused_for_what_another_may_turn_out_to_take(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of(6)
            store.sizes["a"] = 450
            store.held["b"] = threading.Event()
            slow = store.open("b", stays=True)  # of which 200 are expected
            assert await asyncio.wait_for(store.open("a", stays=True), PATIENCE) is None
            store.held["b"].set()
            assert await asyncio.wait_for(slow, PATIENCE) is None
            assert store.budget.used == 450 + SIZE

        run(scenario())

    def test_what_can_never_fit_is_refused_and_nothing_leaves_for_good(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of(3)
            await store.opened("a", stays=True)
            store.sizes["big"] = 10 * SIZE
            error = await asyncio.wait_for(store.open("big"), PATIENCE)
            assert isinstance(error, InsufficientStorage)
            assert error.status == 507
            assert "takes 1,000 bytes of memory; of 300 for all models, 100 are taken" in str(error)
            assert (store.names, store.budget.used) == (["a"], SIZE)

        run(scenario())

    def test_what_turned_out_too_large_is_refused_the_next_time_and_nobody_leaves(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of(3)
            store.sizes["big"] = 10 * SIZE
            assert isinstance(await store.open("big"), InsufficientStorage)
            for _ in range(50):
                store.budget.learn(ROOT, SIZE, SIZE)  # by now others are expected to be small
            await store.opened("a", "b")
            for _ in range(3):
                error = await asyncio.wait_for(store.open("big"), PATIENCE)
                assert "takes 1,000 bytes of memory; of 300 for all models" in str(error)
            assert (store.names, store.budget.used) == (["a", "b"], 2 * SIZE)
            assert store.loads.count("big") == 1

        run(scenario())

    def test_another_version_of_what_was_too_large_is_tried(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of(3)
            store.sizes["big"] = 10 * SIZE
            assert isinstance(await store.open("big"), InsufficientStorage)
            store.versions["big"], store.sizes["big"] = 1, SIZE
            await store.opened("big")
            assert store.names == ["big"]

        run(scenario())

    def test_what_was_too_large_beside_one_that_stays_is_tried_when_that_has_gone(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of(3)
            await store.opened("a", stays=True)
            store.sizes["big"] = 3 * SIZE
            assert isinstance(await store.open("big"), InsufficientStorage)
            await store.unload("a")
            await store.opened("big")

        run(scenario())

    def test_many_that_come_together_all_get_their_turn(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(2)
            names = [f"m{number}" for number in range(20)]
            settled = [store.open(name) for name in names]
            replies = [store.send(name, b"1") for name in names]
            assert [(await reply.answer()).status for reply in replies] == [200] * 20
            assert await asyncio.gather(*settled) == [None] * 20
            assert store.budget.used <= store.budget.limit

        run(scenario())


class TestGpu:
    """Room on the GPU. A model's size there is that which the test says, or none."""

    def test_the_least_recently_used_on_it_makes_room_and_no_other(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_for_memory_of_the_machine_any_makes_room(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(2, gpu=1000)
            store.gpu_sizes = {"b": 100, "c": 100}
            for name in ("cpu", "b", "c"):
                await store.opened(name)
            assert store.names == ["c"]
            assert store.gpu.used == 100

        run(scenario())

    def test_what_it_took_before_is_there_before_it_is_loaded(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of(gpu=200)
            store.gpu_sizes = {"a": 150, "b": 100}
            await store.opened("b")
            await store.unload("b")
            await store.opened("a", "b")
            assert store.names == ["b"]
            assert store.loads == ["b", "a", "b"]  # never without the room

        run(scenario())

    def test_when_it_was_full_a_model_is_loaded_again_as_soon_as_others_have_left(
        self, run: Run, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario() -> None:
            emptied: list[list[str]] = []
            store, fake = store_of(gpu=250), Fake(held=True)
            monkeypatch.setattr(footprint, "caches", [lambda: emptied.append([*store.loads])])
            store.gpu_sizes = {"a": 100, "b": 100, "new": 180}
            store.fakes["a"] = fake
            await store.opened("a", "cpu", "b")
            begun = store.send("a", b"4")
            fake.began()
            opened, waiting = store.open("new"), store.send("new", b"3")
            await TestVersions.until(lambda: store.names == ["cpu", "new"])
            assert not opened.done()
            fake.release()
            assert (await begun.answer()).body == b"8\n"
            assert await asyncio.wait_for(opened, PATIENCE) is None
            assert (await waiting.answer()).body == b"6\n"
            assert store.names == ["cpu", "new"]
            # A model that has left may be in a library's cache still.
            assert ["a", "cpu", "b", "new"] in emptied
            assert store.loads == ["a", "cpu", "b", "new", "new", "new"]

        run(scenario())

    def test_what_has_no_room_there_is_refused_and_others_leave_in_vain_only_once(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_one_that_exceeds_what_models_may_take_is_refused(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_where_two_versions_have_no_room_beside_each_other_the_new_one_is_waited_for(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store = store_of(gpu=250)
            store.gpu_sizes = {"a": 200}
            await store.opened("a", follows=True)
            store.versions["a"] = 1
            assert (await store.ask("a", b"1")).body == b"2\n"
            await TestVersions.until(lambda: store.loads == ["a", "a"])
            assert (await store.ask("a", b"2")).body == b"4\n"
            assert (store.names, store.gpu.used, store.budget.used) == (["a"], 200, SIZE)

        run(scenario())

    def test_many_that_come_together_all_get_their_turn(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(gpu=250)
            names = [f"m{number}" for number in range(12)]
            store.gpu_sizes = dict.fromkeys(names[::2], 100)
            settled = [store.open(name) for name in names]
            assert await asyncio.gather(*settled) == [None] * 12
            assert store.gpu.used <= store.gpu.limit
            assert set(store.names) >= set(names[1::2])

        run(scenario())


class TestVersions:
    @staticmethod
    async def until(happened: Callable[[], bool]) -> None:
        async def poll() -> None:
            while not happened():
                await asyncio.sleep(0.002)

        await asyncio.wait_for(poll(), PATIENCE)

    def test_a_new_version_takes_over_without_a_gap(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store, old = store_of(), Fake(held=True)
            store.fakes["a"] = old
            await store.opened("a", follows=True)
            begun = store.send("a", b"1")
            old.began()
            new = store.fakes["a"] = Fake()
            store.versions["a"] = 1
            late = store.send("a", b"2")  # the old one takes it, and the new one is looked for
            await self.until(lambda: store.loads == ["a", "a"])
            old.release(2)
            assert [(await reply.answer()).status for reply in (begun, late)] == [200, 200]
            await self.until(lambda: store.budget.used == SIZE)
            assert (await store.ask("a", b"3")).body == b"6\n"
            assert new.calls[-1] == [3.0]

        run(scenario())

    def test_one_that_cannot_be_loaded_leaves_the_old_one_and_is_tried_once(
        self, run: Run, store_of: StoreOf, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def scenario() -> None:
            store = store_of()
            await store.opened("a", follows=True)
            store.versions["a"] = 1
            store.unloaded["a"] = ModelLoadError("It is cut.")
            for _ in range(10):
                assert (await store.ask("a")).status == 200
                await self.until(lambda: not store.registry._opening)
            assert store.loads == ["a", "a"]
            assert store.budget.used == SIZE

        run(scenario())
        assert "the new version of model a is left out: It is cut." in caplog.text

    def test_one_whose_old_version_leaves_meanwhile_goes_without_a_word(
        self, run: Run, store_of: StoreOf, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def scenario() -> None:
            store = store_of()
            await store.opened("a", follows=True)
            store.versions["a"] = 1
            store.gate.clear()
            assert (await store.ask("a")).status == 200
            await store.unload("a")
            store.gate.set()
            await self.until(lambda: not store.registry._opening)
            assert (store.names, store.budget.used) == ([], 0)
            assert store.metrics.models["failed"] == 0

        run(scenario())
        assert "left out" not in caplog.text

    def test_one_that_is_the_same_is_not_loaded_again(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            await store.opened("a", follows=True)
            for _ in range(5):
                await store.ask("a")
                await self.until(lambda: not store.registry._opening)
            assert store.loads == ["a"]

        run(scenario())


class TestDirectories:
    """They may be removed when no model uses them, and not before."""

    def test_a_model_lets_go_of_its_directory_when_it_has_ended(
        self, run: Run, store_of: StoreOf
    ) -> None:
        async def scenario() -> None:
            store, fake = store_of(), Fake(held=True)
            store.fakes["a"] = fake
            await store.opened("a")
            begun = store.send("a")
            fake.began()
            gone = asyncio.Event()
            store.registry.unload("a", gone.set)
            assert store.used == [("a", 0)]
            fake.release()
            await begun.answer()
            await asyncio.wait_for(gone.wait(), PATIENCE)
            assert store.used == []

        run(scenario())

    def test_one_that_is_evicted_lets_go(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(1)
            await store.opened("a", "b")
            assert store.used == [("b", 0)]

        run(scenario())

    def test_one_that_cannot_be_loaded_lets_go(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            store.unloaded["a"] = ModelLoadError("It is cut.")
            assert await store.open("a") is not None
            assert store.used == []

        run(scenario())

    def test_of_two_versions_the_newer_is_used(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            await store.opened("a", follows=True)
            await store.ask("a")  # it looks whether there is a newer one, and finds the same
            await TestVersions.until(lambda: not store.registry._opening)
            assert store.used == [("a", 0)]
            store.versions["a"] = 1
            await store.ask("a")
            await TestVersions.until(lambda: store.used == [("a", 1)])

        run(scenario())


class TestReturning:
    """A model that was loaded before keeps its name while it cannot be."""

    def test_it_is_refused_with_the_reason_until_it_is_tried_again(
        self, run: Run, store_of: StoreOf, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())
        assert "Model a cannot be loaded again" in caplog.text

    def test_the_next_request_after_a_while_tries_again_and_waits(
        self, run: Run, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry, "AGAIN_SECONDS", 0.0)

        async def scenario() -> None:
            store = store_of()
            store.unloaded["a"] = ModelLoadError("It is cut.")
            await store.open("a", **RETURNING)
            answer = await store.ask("a")
            assert (answer.status, answer.content_type) == (503, "application/json")
            assert isinstance(answer.body, bytes)
            assert b"Model a cannot be loaded again: It is cut." in answer.body
            del store.unloaded["a"]
            first, second = store.send("a"), store.send("a")
            assert [(await reply.answer()).status for reply in (first, second)] == [200, 200]
            assert store.loads == ["a", "a", "a"]

        run(scenario())

    def test_without_room_it_is_507(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of(3)
            store.sizes["a"] = 10 * SIZE
            error = await asyncio.wait_for(store.open("a", **RETURNING), PATIENCE)
            assert isinstance(error, InsufficientStorage)
            with pytest.raises(InsufficientStorage, match="takes 1,000 bytes"):
                store.send("a")
            assert (store.names, store.budget.used, store.used) == (["a"], 0, [])

        run(scenario())

    def test_it_can_be_unloaded(self, run: Run, store_of: StoreOf) -> None:
        async def scenario() -> None:
            store = store_of()
            store.unloaded["a"] = ModelLoadError("It is cut.")
            await store.open("a", **RETURNING)
            await store.unload("a")
            assert store.names == []
            with pytest.raises(ModelNotFound):
                store.send("a")

        run(scenario())

    def test_one_that_is_unloaded_while_it_is_tried_again_goes(
        self, run: Run, store_of: StoreOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry, "AGAIN_SECONDS", 0.0)

        async def scenario() -> None:
            store = store_of()
            store.unloaded["a"] = ModelLoadError("It is cut.")
            await store.open("a", **RETURNING)
            store.gate.clear()
            waiting = store.send("a")
            gone = asyncio.Event()
            store.registry.unload("a", gone.set)
            store.gate.set()
            await asyncio.wait_for(gone.wait(), PATIENCE)
            assert (await waiting.answer()).status >= 400
            assert store.names == []

        run(scenario())


def test_a_model_that_hangs_is_told_of(run: Run, store_of: StoreOf) -> None:
    async def scenario() -> None:
        store, fake = store_of(request_timeout=0.02), Fake(held=True)
        store.fakes["a"] = fake
        await store.opened("a")
        reply = store.send("a")
        await TestVersions.until(lambda: bool(store.broken))
        assert [entry.name for entry in store.broken] == ["a"]
        fake.release()
        assert (await reply.answer()).status in (200, 504)

    run(scenario())
