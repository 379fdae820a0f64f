"""What costs more is predicted in the model's thread, in batches of what waits."""

import itertools
import threading
from types import SimpleNamespace

import pytest

from serving import execution
from serving.values import Payload, Prediction, Request, Response
from tests.batching.support import CHEAP, DEAR, OVERDUE, DeskOf, lines, message
from tests.support import Fake, Recorder, post


class TestDearModels:
    """They are predicted in a thread."""

    async def test_what_waits_when_the_model_becomes_free_is_the_next_batch(
        self, desk_of: DeskOf
    ) -> None:
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

    async def test_a_batch_has_max_rows_but_a_larger_request_passes_alone(
        self, desk_of: DeskOf
    ) -> None:
        fake = Fake(held=True)
        desk = desk_of(fake.model(), DEAR, max_rows=3)
        replies = [desk.submit(0)]
        fake.began()
        replies += [desk.submit(*rows) for rows in ((1, 2), (3,), (4, 5), (6, 7, 8, 9), (10,))]
        fake.release(5)
        for reply in replies:
            await reply.answer()
        assert fake.calls == [[0], [1, 2, 3], [4, 5], [6, 7, 8, 9], [10]]

    async def test_only_equal_keys_are_merged_and_everyone_gets_the_own_answer(
        self, desk_of: DeskOf
    ) -> None:
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

    async def test_slow_calls_that_do_not_stack_are_answered_one_by_one(
        self, desk_of: DeskOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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

    async def test_a_script_that_stacks_rows_is_given_what_waits_before_it_is_decoded(
        self, desk_of: DeskOf
    ) -> None:
        fake = Fake(held=True)
        desk = desk_of(fake.model("decode", merge_key="the script's"), DEAR)
        replies = [desk.submit(0)]
        fake.began()
        replies += [desk.submit(1), desk.submit(2)]
        fake.release(2)
        assert [lines(await reply.answer()) for reply in replies] == [[0], [2], [4]]
        assert fake.calls == [[0], [1, 2]]

    async def test_a_bad_row_does_not_fail_its_neighbours(self, desk_of: DeskOf) -> None:
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

    async def test_a_model_that_miscounts_is_asked_again_for_each(self, desk_of: DeskOf) -> None:
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

    async def test_an_answer_that_cannot_be_written_fails_alone(self, desk_of: DeskOf) -> None:
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

    async def test_a_users_decode_runs_in_the_thread_and_its_refusal_is_the_answer(
        self, desk_of: DeskOf
    ) -> None:
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

    @pytest.mark.parametrize("failure", [SystemExit(1), GeneratorExit(), RuntimeError()])
    async def test_whatever_a_model_raises_its_thread_goes_on(
        self, desk_of: DeskOf, failure: BaseException
    ) -> None:
        fake = Fake()
        fake.failure = failure
        desk = desk_of(fake.model(), DEAR)
        assert (await desk.submit(-1).answer()).status == 500
        assert lines(await desk.submit(1).answer()) == [2]

    async def test_a_reply_may_bring_the_next_request(self, desk_of: DeskOf) -> None:
        fake = Fake()
        desk = desk_of(fake.model(), DEAR)
        last = Recorder()

        class Chain(Recorder):
            def send(self, response: Response) -> None:
                super().send(response)
                desk.send(post(b"2", key=""), last)

        desk.send(post(b"1", key=""), Chain())
        assert lines(await last.answer()) == [4]

    async def test_a_closed_batcher_ends_its_thread(self, desk_of: DeskOf) -> None:
        before = set(threading.enumerate())
        desk = desk_of(Fake().model(), DEAR)
        assert set(threading.enumerate()) == before
        await desk.submit(1).answer()
        (thread,) = set(threading.enumerate()) - before
        assert thread.name == "model-fake"
        desk.batcher.close()
        thread.join()
