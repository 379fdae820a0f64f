"""Requests into batches: what is predicted together, where, and what everyone is answered."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from serving import batching, execution
from serving.batching import Batcher, Cost
from serving.call import Call
from serving.errors import DeadlineExceeded, Overloaded
from serving.model import Model
from serving.values import Payload, Prediction, Request, Response
from tests.support import Fake, Recorder, Run, post

CHEAP, DEAR = Cost(0.0, 1e-6), Cost(1.0, 0.0)
OVERDUE = 0.02
"""Time a request has that will not be answered in time, in seconds."""


class Desk:
    """Submits requests to a batcher."""

    def __init__(self, model: Model, cost: Cost, *, max_rows: int = 1000, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        options = {"max_queue": 1000} | options
        self.batcher = Batcher(model, cost, loop, max_rows=max_rows, **options)
        self._model = model

    def submit(self, *numbers: float, key: str = "", within: float | None = None) -> Recorder:
        """Ask for numbers to be doubled, within some seconds."""
        deadline = float("inf") if within is None else time.monotonic() + within
        body = "\n".join(map(str, numbers)).encode()
        return self.send(post(body, deadline, key=key))

    def send(self, request: Request, reply: Recorder | None = None) -> Recorder:
        reply = reply or Recorder()
        call = Call(request, "text/plain", reply)
        if "decode" not in self._model.foreign:
            call.payload = self._model.decode(request)
        self.batcher.submit(call)
        return reply


DeskOf = Callable[..., Desk]


@pytest.fixture
def desk_of() -> Iterator[DeskOf]:
    """Opens desks, and closes them in the end."""
    desks: list[Desk] = []

    def open_desk(model: Model, cost: Cost, **options: Any) -> Desk:
        desks.append(Desk(model, cost, **options))
        return desks[-1]

    yield open_desk
    for desk in desks:
        desk.batcher.close()


def lines(response: Response) -> list[float]:
    """The numbers of a good answer."""
    assert response.status == 200, response
    assert isinstance(response.body, bytes)
    return [float(line) for line in response.body.splitlines()]


def message(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return str(json.loads(response.body)["message"])


class TestCost:
    @pytest.mark.parametrize(
        ("cost", "seconds", "rows"),
        [
            (Cost(0.0, 0.001), 0.002, 2),
            (Cost(0.001, 0.0005), 0.002, 2),
            (Cost(0.001, 0.0), 0.002, 1_000_000),
            (Cost(0.002, 0.0), 0.002, 1_000_000),
            (Cost(0.0, 0.0021), 0.002, 0),
            (Cost(0.0019, 0.0002), 0.002, 0),
            (Cost(float("inf"), float("inf")), 0.002, 0),
        ],
    )
    def test_rows_within_a_time(self, cost: Cost, seconds: float, rows: int) -> None:
        assert cost.rows_within(seconds) == rows


class TestCheapModels:
    """They are predicted on the loop."""

    def test_calls_of_one_turn_are_predicted_together(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake()
            desk = desk_of(fake.model(), CHEAP)
            replies = [desk.submit(number) for number in (1, 2, 3)]
            assert fake.calls == []
            assert [lines(await reply.answer()) for reply in replies] == [[2], [4], [6]]
            assert fake.calls == [[1, 2, 3]]
            assert lines(await desk.submit(4).answer()) == [8]
            assert fake.calls == [[1, 2, 3], [4]]
            assert set(fake.threads.values()) == {threading.get_ident()}

        run(scenario())

    def test_a_turn_is_cut_into_calls_that_stay_cheap(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake()
            two_rows = Cost(0.0, batching.INLINE_SECONDS / 2)
            desk = desk_of(fake.model(), two_rows)
            replies = [desk.submit(number) for number in range(5)]
            assert [lines(await reply.answer()) for reply in replies] == [[0], [2], [4], [6], [8]]
            assert fake.calls == [[0, 1], [2, 3], [4]]

        run(scenario())

    def test_many_rows_are_not_cheap_and_go_to_the_thread(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake()
            desk = desk_of(fake.model(), Cost(0.0, batching.INLINE_SECONDS / 2))
            assert lines(await desk.submit(1, 2, 3).answer()) == [2, 4, 6]
            assert fake.threads["predict"] != threading.get_ident()

        run(scenario())

    def test_max_rows_holds_for_them_too(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake()
            desk = desk_of(fake.model(), CHEAP, max_rows=2)
            for reply in [desk.submit(number) for number in range(3)]:
                await reply.answer()
            assert fake.calls == [[0, 1], [2]]

        run(scenario())

    @pytest.mark.parametrize("function", ["predict", "encode"])
    def test_a_users_function_never_runs_on_the_loop(
        self, run: Run, desk_of: DeskOf, function: str
    ) -> None:
        async def scenario() -> None:
            fake = Fake()
            desk = desk_of(fake.model(function), CHEAP)
            assert lines(await desk.submit(1).answer()) == [2]
            assert fake.threads["decode"] == threading.get_ident()
            assert fake.threads["predict"] == fake.threads["encode"] != threading.get_ident()

        run(scenario())


class TestDearModels:
    """They are predicted in a thread."""

    def test_what_waits_when_the_model_becomes_free_is_the_next_batch(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)
            desk = desk_of(fake.model(), DEAR)
            replies = [desk.submit(1)]
            fake.began()
            replies += [desk.submit(2), desk.submit(3, 4)]
            assert fake.calls == [[1]]
            fake.release(2)
            assert [lines(await reply.answer()) for reply in replies] == [[2], [4], [6, 8]]
            assert fake.calls == [[1], [2, 3, 4]]
            assert fake.threads["encode"] == fake.threads["predict"] != threading.get_ident()

        run(scenario())

    def test_a_batch_has_max_rows_but_a_larger_request_passes_alone(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)
            desk = desk_of(fake.model(), DEAR, max_rows=3)
            replies = [desk.submit(0)]
            fake.began()
            replies += [desk.submit(*rows) for rows in ((1, 2), (3,), (4, 5), (6, 7, 8, 9), (10,))]
            fake.release(5)
            for reply in replies:
                await reply.answer()
            assert fake.calls == [[0], [1, 2, 3], [4, 5], [6, 7, 8, 9], [10]]

        run(scenario())

    def test_only_equal_keys_are_merged_and_everyone_gets_the_own_answer(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)
            desk = desk_of(fake.model(), DEAR)
            replies = [desk.submit(0)]
            fake.began()
            keys = ["a", "b", "a", "-", "b", "-"]
            replies += [desk.submit(number, key=key) for number, key in enumerate(keys, 1)]
            fake.release(5)
            answers = [lines(await reply.answer()) for reply in replies]
            assert answers == [[0], [2], [4], [6], [8], [10], [12]]
            assert fake.calls == [[0], [1, 3], [2, 5], [4], [6]]

        run(scenario())

    def test_slow_calls_that_do_not_stack_are_answered_one_by_one(
        self, run: Run, desk_of: DeskOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario() -> None:
            clock = itertools.count(0.0, 1.0)
            monkeypatch.setattr(execution, "time", SimpleNamespace(monotonic=clock.__next__))
            fake = Fake(held=True)
            desk = desk_of(fake.model("decode"), DEAR)
            first, second, late = desk.submit(1), desk.submit(2), desk.submit(3, within=OVERDUE)
            fake.began()
            fake.release()
            assert lines(await first.answer()) == [2]
            fake.began()
            assert (await late.answer()).status == 504
            fake.release()
            assert lines(await second.answer()) == [4]
            assert fake.calls == [[1], [2]]

        run(scenario())

    def test_a_script_that_stacks_rows_is_given_what_waits_before_it_is_decoded(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)
            desk = desk_of(fake.model("decode", merge_key="the script's"), DEAR)
            replies = [desk.submit(0)]
            fake.began()
            replies += [desk.submit(1), desk.submit(2)]
            fake.release(2)
            assert [lines(await reply.answer()) for reply in replies] == [[0], [2], [4]]
            assert fake.calls == [[0], [1, 2]]

        run(scenario())

    def test_a_bad_row_does_not_fail_its_neighbours(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)
            desk = desk_of(fake.model(), DEAR)
            replies = [desk.submit(0)]
            fake.began()
            replies += [desk.submit(1, 2), desk.submit(-3), desk.submit(4)]
            fake.release(5)
            answers = [await reply.answer() for reply in replies]
            assert [answer.status for answer in answers] == [200, 200, 500, 200]
            assert [lines(answers[1]), lines(answers[3])] == [[2, 4], [8]]
            assert message(answers[2]) == "The server failed with ValueError; see its log."
            assert fake.calls == [[0], [1, 2, -3, 4], [1, 2], [-3], [4]]

        run(scenario())

    def test_a_model_that_miscounts_is_asked_again_for_each(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)
            calls: list[int] = []

            def predict(payload: Payload) -> Prediction:
                calls.append(payload.rows)
                return Prediction({"doubled": fake.predict(payload).outputs["doubled"][:1]})

            desk = desk_of(fake.model(predict=predict), DEAR)
            replies = [desk.submit(0)]
            fake.began()
            replies += [desk.submit(1), desk.submit(2)]
            fake.release(4)
            assert [lines(await reply.answer()) for reply in replies] == [[0], [2], [4]]
            assert calls == [1, 2, 1, 1]

        run(scenario())

    def test_an_answer_that_cannot_be_written_fails_alone(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)

            def encode(prediction: Prediction, accept: str, request: Request) -> Response:
                if request.body == b"1":
                    raise MemoryError
                return fake.encode(prediction, accept, request)

            desk = desk_of(fake.model(encode=encode), DEAR)
            replies = [desk.submit(0)]
            fake.began()
            replies += [desk.submit(1), desk.submit(2)]
            fake.release(2)
            statuses = [(await reply.answer()).status for reply in replies]
            assert statuses == [200, 500, 200]

        run(scenario())

    def test_a_users_decode_runs_in_the_thread_and_its_refusal_is_the_answer(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)
            desk = desk_of(fake.model("decode"), CHEAP)
            replies = [desk.submit(0)]
            fake.began()
            replies += [desk.send(post(b"one")), desk.submit(2)]
            fake.release(2)
            answers = [await reply.answer() for reply in replies]
            assert [answer.status for answer in answers] == [200, 400, 200]
            assert message(answers[1]).startswith("This is no number")
            assert fake.threads["decode"] == fake.threads["predict"] != threading.get_ident()

        run(scenario())

    @pytest.mark.parametrize("failure", [SystemExit(1), GeneratorExit(), RuntimeError()])
    def test_whatever_a_model_raises_its_thread_goes_on(
        self, run: Run, desk_of: DeskOf, failure: BaseException
    ) -> None:
        async def scenario() -> None:
            fake = Fake()
            fake.failure = failure
            desk = desk_of(fake.model(), DEAR)
            assert (await desk.submit(-1).answer()).status == 500
            assert lines(await desk.submit(1).answer()) == [2]

        run(scenario())

    def test_a_reply_may_bring_the_next_request(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake()
            desk = desk_of(fake.model(), DEAR)
            last = Recorder()

            class Chain(Recorder):
                def send(self, response: Response) -> None:
                    super().send(response)
                    desk.send(post(b"2", key=""), last)

            desk.send(post(b"1", key=""), Chain())
            assert lines(await last.answer()) == [4]

        run(scenario())

    def test_a_closed_batcher_ends_its_thread(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            before = set(threading.enumerate())
            desk = desk_of(Fake().model(), DEAR)
            assert set(threading.enumerate()) == before
            await desk.submit(1).answer()
            (thread,) = set(threading.enumerate()) - before
            assert thread.name == "model-fake"
            desk.batcher.close()
            thread.join()

        run(scenario())


class TestTheDead:
    """Who has left, and whose time is over, costs nothing."""

    def test_who_has_left_never_reaches_the_model(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_nor_does_a_call_of_a_cheap_model_that_nobody_waits_for(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_the_hanging_models_request_is_answered_at_its_deadline_and_not_again(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_whose_time_is_over_while_waiting_never_reaches_the_model(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_whose_time_was_over_before_is_refused_at_once(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake()
            desk = desk_of(fake.model(), DEAR)
            with pytest.raises(DeadlineExceeded):
                desk.submit(1, within=-1)
            assert lines(await desk.submit(2).answer()) == [4]
            assert fake.calls == [[2]]

        run(scenario())


class TestOverload:
    def test_a_full_queue_refuses_with_a_time_to_come_back(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
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

        run(scenario())

    @pytest.mark.parametrize(("seconds", "wait"), [(0.001, 1), (1.0, 3), (10.0, 30), (1e6, 60)])
    def test_that_time_is_what_the_queue_took_lately_and_bounded(
        self, run: Run, desk_of: DeskOf, monkeypatch: pytest.MonkeyPatch, seconds: float, wait: int
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())

    def test_who_waits_no_more_takes_no_place(self, run: Run, desk_of: DeskOf) -> None:
        async def scenario() -> None:
            fake = Fake(held=True)
            desk = desk_of(fake.model(), DEAR, max_queue=1)
            first = desk.submit(0)
            fake.began()
            assert (await desk.submit(1, within=OVERDUE).answer()).status == 504
            second = desk.submit(2)
            fake.release(2)
            assert [lines(await reply.answer()) for reply in (first, second)] == [[0], [4]]

        run(scenario())

    def test_a_turn_of_the_loop_takes_a_burst_but_in_overload_a_few_calls(
        self, run: Run, desk_of: DeskOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Calls of 0.5 ms; with 300 a turn that is 150 ms of work, and more comes."""

        async def scenario() -> None:
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

        run(scenario())

    def test_a_request_that_cannot_be_answered_in_time_is_refused_at_once(
        self, run: Run, desk_of: DeskOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())


class TestHanging:
    """A batch that does not return within the batcher's patience."""

    def test_those_that_wait_go_on_in_a_new_thread_and_the_owner_hears_of_it(
        self, run: Run, desk_of: DeskOf
    ) -> None:
        async def scenario() -> None:
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

        run(scenario())
