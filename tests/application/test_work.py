"""Where a request's work is done, and how an error on the way is answered."""

import threading

import pytest

from serving.service import INLINE_BODY
from serving.values import Payload, Request
from tests.application.support import SAMPLE, Opened, ask, at_once, problem, send
from tests.support import PATIENCE, Fake, post


async def test_an_unexpected_error_is_in_the_log_and_not_in_the_answer(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    fake = Fake()
    fake.failure = ZeroDivisionError("the secret")
    async with opened(fake.model()) as application:
        answer = await ask(application, post(b"-1"))
        assert problem(answer) == (
            500,
            "PredictionError",
            "The server failed with ZeroDivisionError; see its log.",
        )

    assert "Traceback" in caplog.text
    assert "the secret" in caplog.text


@pytest.mark.parametrize("failure", [RuntimeError(), SystemExit(1), MemoryError()])
async def test_an_error_in_decode_is_an_answer_too(opened: Opened, failure: BaseException) -> None:
    def decode(_request: Request) -> Payload:
        raise failure

    for foreign in ((), ("decode",)):
        async with opened(Fake().model(*foreign, decode=decode)) as application:
            for body in (b"1", b"1\n" * INLINE_BODY):
                assert (await ask(application, post(body))).status == 500


async def test_small_bodies_are_decoded_on_the_loop(opened: Opened) -> None:
    fake = Fake()
    async with opened(fake.model(**SAMPLE)) as application:
        await ask(application, post(b"1" * INLINE_BODY))
        assert fake.threads["decode"] == threading.get_ident()


async def test_large_bodies_are_decoded_in_a_thread(opened: Opened) -> None:
    fake = Fake()
    async with opened(fake.model(**SAMPLE)) as application:
        body = b"1\n" * INLINE_BODY
        answer = await ask(application, post(body))
        assert answer.body == b"2\n" * INLINE_BODY
        assert fake.threads["decode"] != threading.get_ident()
        refused = await ask(application, post(body + b"x"))
        assert problem(refused)[:2] == (400, "BadRequest")


async def test_a_users_decode_runs_where_the_model_runs(opened: Opened) -> None:
    fake = Fake()
    async with opened(fake.model("decode", **SAMPLE)) as application:
        assert (await ask(application, post(b"1"))).body == b"2\n"
        assert fake.threads["decode"] == fake.threads["predict"] != threading.get_ident()


async def test_a_full_queue_is_answered_with_a_time_to_come_back(opened: Opened) -> None:
    fake = Fake(held=True)
    async with opened(fake.model(), max_queue=1) as application:
        first = send(application, post(b"1"))
        fake.began()
        second = send(application, post(b"2"))
        large = await ask(application, post(b"1\n" * INLINE_BODY))
        for refused in (at_once(application, post(b"3")), large):
            assert problem(refused)[:2] == (503, "Overloaded")
            ((name, seconds),) = refused.headers
            assert name == "retry-after"
            assert int(seconds) > 0
        fake.release(2)
        assert [(await reply.answer()).body for reply in (first, second)] == [b"2\n", b"4\n"]


async def test_a_closed_application_leaves_no_thread(opened: Opened) -> None:
    before = set(threading.enumerate())
    async with opened(Fake().model()) as application:
        await ask(application, post(b"1\n" * INLINE_BODY))
        started = set(threading.enumerate()) - before
        assert {thread.name for thread in started} >= {"decode", "model-fake"}
    for thread in started:
        thread.join(PATIENCE)
        assert not thread.is_alive()


async def test_requests_of_a_cheap_model_are_batched(opened: Opened) -> None:
    fake = Fake()
    async with opened(fake.model(**SAMPLE)) as application:
        fake.calls.clear()
        replies = [send(application, post(b"%d" % number)) for number in range(3)]
        answers = [(await reply.answer()).body for reply in replies]
        assert answers == [b"0\n", b"2\n", b"4\n"]
        assert fake.calls == [[0, 1, 2]]
