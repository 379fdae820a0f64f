"""A model is loaded once, and those who ask meanwhile wait for it."""

import asyncio

import pytest

from serving.errors import (
    ArchiveError,
    ArchiveNotFound,
    ModelConflict,
    ModelLoadError,
    ModelNotFound,
)
from tests.registry.support import SIZE, StoreOf, until
from tests.support import PATIENCE, Fake, Recorder, post


class TestLoading:
    async def test_a_model_that_was_opened_answers(self, store_of: StoreOf) -> None:
        store = store_of()
        await store.opened("a", "b")
        assert (await store.ask("a", b"2")).body == b"4\n"
        assert (await store.ask("b", b"3")).body == b"6\n"
        assert store.budget.used == 2 * SIZE
        assert store.metrics.models["loaded"] == 2

    async def test_those_who_ask_while_it_loads_wait_for_one_load(self, store_of: StoreOf) -> None:
        store = store_of()
        settled = store.begun("a")
        replies = [store.send("a", b"%d" % number) for number in range(5)]
        with pytest.raises(ModelConflict, match=r"^Model a is already registered\.$"):
            store.open("a")
        assert [reply.answers for reply in replies] == [[]] * 5
        store.gate.set()
        answers = [await reply.answer() for reply in replies]
        assert [answer.body for answer in answers] == [b"%d\n" % (2 * n) for n in range(5)]
        assert await settled is None
        assert store.loads == ["a"]

    async def test_who_has_left_meanwhile_costs_nothing(self, store_of: StoreOf) -> None:
        store = store_of()
        settled, gone = store.begun("a"), store.send("a")
        gone.gone = True
        store.gate.set()
        await settled
        assert (await store.ask("a", b"5")).status == 200
        assert store.fakes["a"].calls == [[5.0]]
        assert gone.answers == []

    async def test_whose_time_is_over_while_it_loads_is_told_so(self, store_of: StoreOf) -> None:
        store = store_of()
        store.begun("a")
        reply = Recorder()
        store.registry.ask("a", post(b"1", deadline=0.0), reply)
        answer = await reply.answer()
        assert answer.status == 503
        assert isinstance(answer.body, bytes)
        assert b"loading still" in answer.body
        store.gate.set()
        assert (await store.ask("a")).status == 200
        assert len(reply.answers) == 1

    async def test_no_more_wait_than_may(self, store_of: StoreOf) -> None:
        store = store_of(max_queue=2)
        store.begun("a")
        replies = [store.send("a"), store.send("a")]
        with pytest.raises(Exception, match="2 requests wait"):
            store.send("a")
        store.gate.set()
        assert [(await reply.answer()).status for reply in replies] == [200, 200]

    @pytest.mark.parametrize(
        ("errors", "error", "status"),
        [
            ("unfetched", ArchiveError("It is refused."), 500),
            ("unloaded", ModelLoadError("It is cut."), 500),
            ("unloaded", ValueError("a script's"), 500),
            ("unloaded", MemoryError(), 507),
        ],
    )
    async def test_a_load_that_fails_leaves_nothing(
        self, store_of: StoreOf, errors: str, error: BaseException, status: int
    ) -> None:
        store = store_of()
        failing: dict[str, BaseException] = getattr(store, errors)
        failing["a"] = error
        settled, reply = store.begun("a"), store.send("a")
        store.gate.set()
        assert await asyncio.wait_for(settled, PATIENCE) is not None
        assert (await reply.answer()).status == status
        assert (store.names, store.budget.used) == ([], 0)
        with pytest.raises(ModelNotFound, match=r"^Model not found: a$"):
            store.send("a")
        del failing["a"]
        await store.opened("a")
        assert (await store.ask("a")).status == 200

    async def test_what_is_not_at_its_address_is_not_found(self, store_of: StoreOf) -> None:
        store = store_of()
        store.unfetched["a"] = ArchiveNotFound("/store/a does not exist.")
        told = await asyncio.wait_for(store.open("a"), PATIENCE)
        assert isinstance(told, ModelNotFound)
        assert str(told) == "Model not found in model store: /store/a"


async def test_a_model_that_hangs_is_told_of(store_of: StoreOf) -> None:
    store, fake = store_of(request_timeout=0.02), Fake(held=True)
    store.fakes["a"] = fake
    await store.opened("a")
    reply = store.send("a")
    await until(lambda: bool(store.broken))
    assert [entry.name for entry in store.broken] == ["a"]
    fake.release()
    assert (await reply.answer()).status in (200, 504)
