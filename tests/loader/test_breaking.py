"""When a model that was loaded is broken."""

from typing import Any

import pytest

from serving.entry import Entry, State
from serving.errors import DeviceLost, ModelNotReady
from serving.service import Service
from tests.loader.support import Load
from tests.support import Fake, Recorder, post


async def test_a_model_whose_prediction_hangs_is_broken_and_answers_still(load: Load) -> None:
    fake = Fake(held=True)
    loading = load(fake.model, request_timeout=0.02)
    await loading.changed()
    service = loading.entry.use()
    replies = [Recorder(), Recorder()]
    for reply in replies:
        service.handle(post(b"1"), reply)
        fake.began()
        await loading.changed()
    with pytest.raises(ModelNotReady, match=r"did not return within 0\.02 s"):
        loading.entry.check()
    assert loading.heard == [State.READY, State.BROKEN, State.BROKEN]
    assert loading.entry.use() is service
    fake.release(2)
    assert [(await reply.answer()).status for reply in replies] == [200, 200]


LOST = DeviceLost("The model failed: CUDA error: device-side assert triggered")


async def submit(entry: Entry, *bodies: bytes) -> list[int]:
    """The statuses of the answers to requests that come together."""
    replies = [Recorder() for _ in bodies]
    for body, reply in zip(bodies, replies, strict=True):
        entry.use().handle(post(body), reply)
    return [(await reply.answer()).status for reply in replies]


@pytest.mark.parametrize("facts", [{"foreign": frozenset({"predict"})}, {"devices": ("cuda:0",)}])
async def test_a_model_that_loses_its_device_is_broken(
    load: Load, caplog: pytest.LogCaptureFixture, facts: dict[str, Any]
) -> None:
    fake = Fake()
    fake.failure = LOST
    loading = load(lambda: fake.model(**facts))
    await loading.changed()
    assert await submit(loading.entry, b"1") == [200]
    loading.entry.check()
    assert await submit(loading.entry, b"-1", b"-2") == [500, 500]
    with pytest.raises(ModelNotReady, match=r"^The model failed: CUDA error: device-side"):
        loading.entry.check()
    assert loading.heard == [State.READY, State.BROKEN]

    said = [record for record in caplog.records if "cannot answer any more" in record.getMessage()]
    assert len(said) == 1


@pytest.mark.parametrize("stage", ["decode", "encode"])
async def test_whichever_of_a_scripts_functions_finds_out(load: Load, stage: str) -> None:
    def lose(*_: object) -> Any:
        raise LOST

    functions: dict[str, Any] = {stage: lose}
    loading = load(lambda: Fake().model(stage, **functions))
    await loading.changed()
    assert await submit(loading.entry, b"1") == [500]
    assert loading.entry.state is State.BROKEN


async def test_a_model_on_the_cpu_has_no_device_to_lose(load: Load) -> None:
    fake = Fake()
    loading = load(fake.model)
    await loading.changed()
    service = loading.entry.use()
    assert isinstance(service, Service)
    assert service.model.predict == fake.predict
