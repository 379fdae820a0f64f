"""A model at work: what is refused before it costs anything, and an end that breaks nothing."""

import asyncio
from typing import Any

from serving.batching import Batcher
from serving.service import INLINE_BODY, Service, Tools
from serving.warmup import UNKNOWN
from tests.conftest import MakeSettings
from tests.support import PATIENCE, Fake, Recorder, post


def service_of(fake: Fake, make_settings: MakeSettings, **facts: Any) -> Service:
    settings, loop = make_settings(), asyncio.get_running_loop()
    model = fake.model(**facts)
    batcher = Batcher(model, UNKNOWN, loop, max_rows=1000, max_queue=1000)
    return Service(model, batcher, Tools.of(settings, loop))


async def test_it_ends_when_it_has_answered_what_was_begun(make_settings: MakeSettings) -> None:
    fake, ended = Fake(held=True), asyncio.Event()
    service = service_of(fake, make_settings)
    replies = [Recorder() for _ in range(3)]
    service.handle(post(b"1"), replies[0])
    fake.began()
    service.handle(post(b"2"), replies[1])
    service.handle(post(b"3\n" * INLINE_BODY), replies[2])
    service.finish(ended.set)
    assert not ended.is_set()
    fake.release(3)
    answers = [await reply.answer() for reply in replies]
    assert [answer.status for answer in answers] == [200, 200, 200]
    await asyncio.wait_for(ended.wait(), PATIENCE)


async def test_one_that_does_nothing_ends_at_once(make_settings: MakeSettings) -> None:
    ended = asyncio.Event()
    service_of(Fake(), make_settings).finish(ended.set)
    assert ended.is_set()
