"""Where a request's work is done, and how an error on the way is answered."""

import threading

import pytest

from serving.service import INLINE_BODY
from serving.values import Payload, Request
from tests.application.support import SAMPLE, Opened, ask, at_once, problem, send
from tests.support import PATIENCE, Fake, Run, post


def test_an_unexpected_error_is_in_the_log_and_not_in_the_answer(
    run: Run, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        fake = Fake()
        fake.failure = ZeroDivisionError("the secret")
        async with opened(fake.model()) as application:
            answer = await ask(application, post(b"-1"))
            assert problem(answer) == (
                500,
                "PredictionError",
                "The server failed with ZeroDivisionError; see its log.",
            )

    run(scenario())
    assert "Traceback" in caplog.text
    assert "the secret" in caplog.text


@pytest.mark.parametrize("failure", [RuntimeError(), SystemExit(1), MemoryError()])
def test_an_error_in_decode_is_an_answer_too(
    run: Run, opened: Opened, failure: BaseException
) -> None:
    def decode(_request: Request) -> Payload:
        raise failure

    async def scenario() -> None:
        for foreign in ((), ("decode",)):
            async with opened(Fake().model(*foreign, decode=decode)) as application:
                for body in (b"1", b"1\n" * INLINE_BODY):
                    assert (await ask(application, post(body))).status == 500

    run(scenario())


def test_small_bodies_are_decoded_on_the_loop(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model(**SAMPLE)) as application:
            await ask(application, post(b"1" * INLINE_BODY))
            assert fake.threads["decode"] == threading.get_ident()

    run(scenario())


def test_large_bodies_are_decoded_in_a_thread(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model(**SAMPLE)) as application:
            body = b"1\n" * INLINE_BODY
            answer = await ask(application, post(body))
            assert answer.body == b"2\n" * INLINE_BODY
            assert fake.threads["decode"] != threading.get_ident()
            refused = await ask(application, post(body + b"x"))
            assert problem(refused)[:2] == (400, "BadRequest")

    run(scenario())


def test_a_users_decode_runs_where_the_model_runs(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model("decode", **SAMPLE)) as application:
            assert (await ask(application, post(b"1"))).body == b"2\n"
            assert fake.threads["decode"] == fake.threads["predict"] != threading.get_ident()

    run(scenario())


def test_a_full_queue_is_answered_with_a_time_to_come_back(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
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

    run(scenario())


def test_a_closed_application_leaves_no_thread(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        before = set(threading.enumerate())
        async with opened(Fake().model()) as application:
            await ask(application, post(b"1\n" * INLINE_BODY))
            started = set(threading.enumerate()) - before
            assert {thread.name for thread in started} >= {"decode", "model-fake"}
        for thread in started:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    run(scenario())


def test_requests_of_a_cheap_model_are_batched(run: Run, opened: Opened) -> None:
    async def scenario() -> None:
        fake = Fake()
        async with opened(fake.model(**SAMPLE)) as application:
            fake.calls.clear()
            replies = [send(application, post(b"%d" % number)) for number in range(3)]
            answers = [(await reply.answer()).body for reply in replies]
            assert answers == [b"0\n", b"2\n", b"4\n"]
            assert fake.calls == [[0, 1, 2]]

    run(scenario())
