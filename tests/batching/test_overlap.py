"""Models that take a batch while another is computed, as those on a GPU do."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from serving.batching import Batcher, Cost
from serving.call import Call
from serving.model import Model
from tests.support import PATIENCE, Fake, Recorder, post

DEAR = Cost(1.0, 0.0)

Open = Callable[..., Batcher]


@pytest.fixture
def open_batcher() -> Iterator[Open]:
    """Opens batchers, and closes them in the end."""
    batchers: list[Batcher] = []

    def open_one(model: Model, **options: float | Callable[[], None]) -> Batcher:
        loop = asyncio.get_running_loop()
        rest = {"max_rows": 1000, "max_queue": 1000, **options}
        batchers.append(Batcher(model, DEAR, loop, **rest))  # type: ignore[arg-type]
        return batchers[-1]

    yield open_one
    for batcher in batchers:
        batcher.close()


def submit(batcher: Batcher, fake: Fake, number: float) -> Recorder:
    request, reply = post(str(number).encode()), Recorder()
    call = Call(request, "text/plain", reply)
    call.payload = fake.decode(request)
    batcher.submit(call)
    return reply


async def began(fake: Fake) -> None:
    await asyncio.to_thread(fake.began)


async def bodies(replies: list[Recorder]) -> list[object]:
    return [(await reply.answer()).body for reply in replies]


async def test_a_second_batch_begins_when_as_many_wait_as_are_computed(open_batcher: Open) -> None:
    fake = Fake(held=True)
    batcher = open_batcher(fake.model(overlap=2))
    replies = [submit(batcher, fake, 1)]
    await began(fake)
    replies.append(submit(batcher, fake, 2))
    await began(fake)
    replies += [submit(batcher, fake, number) for number in (3, 4)]
    assert fake.calls == [[1], [2]]  # there are two threads
    fake.release(2)
    await began(fake)
    fake.release()
    assert await bodies(replies) == [b"2\n", b"4\n", b"6\n", b"8\n"]
    assert sorted(fake.calls) == [[1], [2], [3, 4]]
    assert batcher.idle


async def test_fewer_than_that_wait_for_the_next(open_batcher: Open) -> None:
    fake = Fake(held=True)
    batcher = open_batcher(fake.model(overlap=2))
    replies = [submit(batcher, fake, 1)]
    await began(fake)
    replies += [submit(batcher, fake, 2)]
    await began(fake)
    replies += [submit(batcher, fake, number) for number in (3, 4, 5)]
    fake.release(2)
    await began(fake)
    assert max(fake.calls) == [3, 4, 5]
    replies += [submit(batcher, fake, number) for number in (6, 7)]
    assert len(fake.calls) == 3  # three are computed, two wait
    replies.append(submit(batcher, fake, 8))
    await began(fake)
    assert max(fake.calls) == [6, 7, 8]
    fake.release(2)
    assert len(await bodies(replies)) == 8


@pytest.mark.parametrize(
    ("facts", "foreign"), [({}, ()), ({"overlap": 2}, ("predict",))], ids=["plain", "script"]
)
async def test_others_are_computed_one_after_the_other(
    open_batcher: Open, facts: dict[str, int], foreign: tuple[str, ...]
) -> None:
    fake = Fake(held=True)
    batcher = open_batcher(fake.model(*foreign, **facts))
    replies = [submit(batcher, fake, 1)]
    await began(fake)
    replies += [submit(batcher, fake, number) for number in (2, 3)]
    assert fake.calls == [[1]]
    fake.release(2)
    await bodies(replies)
    assert fake.calls == [[1], [2, 3]]


async def test_a_batch_that_hangs_leaves_the_other_alone(open_batcher: Open) -> None:
    fake = Fake(held=True)
    hung = asyncio.Semaphore(0)
    batcher = open_batcher(fake.model(overlap=2), patience=0.02, hung=hung.release)
    for number in (1, 2):
        submit(batcher, fake, number)
        await began(fake)
    for _ in range(2):
        await asyncio.wait_for(hung.acquire(), PATIENCE)
    assert batcher.idle
    fake.release(3)
    assert (await submit(batcher, fake, 3).answer()).body == b"6\n"
