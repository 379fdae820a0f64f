"""The shadow variant: what it is asked, what is written of it, and that nobody feels it."""

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from serving.errors import Overloaded, PredictionError
from serving.lane import Lane
from serving.problems import response
from serving.runtime import shadow
from serving.runtime.endpoints import Shadow
from serving.runtime.shadow import Event, Recorder, Tools
from serving.values import Request, Response
from tests.runtime.support import ANSWER, Core, streamed
from tests.support import PATIENCE, post

CSV = post(b"1,2\n", content_type="text/csv")


class Recording:
    """A recorder, the core that it asks, and what it has written."""

    def __init__(self, folder: Path, share: float = 1.0, chance: float = 0.0) -> None:
        self.core = Core()
        self.tasks: set[asyncio.Task[None]] = set()
        self.folder = folder
        self.lane = Lane("shadow", asyncio.get_running_loop())
        tools = Tools(self.core.handle, self._start, self.lane, lambda: chance, 60.0)
        self.recorder = Recorder("fraud", Shadow("next", "9.tar.gz", share, folder), tools)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.add(asyncio.get_running_loop().create_task(work))

    def offer(self, request: Request = CSV, answer: Response = ANSWER) -> None:
        self.recorder.offer(Event(request, "id-1"), answer)

    async def records(self) -> list[dict[str, Any]]:
        """All that is written, when it is."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=PATIENCE)
        written = asyncio.Event()
        self.lane.run(lambda: None, lambda _: written.set())
        await asyncio.wait_for(written.wait(), PATIENCE)
        texts = [path.read_text() for path in self.folder.rglob("*.jsonl")]
        return [json.loads(line) for text in texts for line in text.splitlines()]


async def test_an_answer_is_recorded_as_captured_data_is(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.offer(post(b"1,2\n", content_type="text/csv", x_amzn_sagemaker_inference_id="a"))
    (record,) = await recording.records()
    moment = record["eventMetadata"].pop("inferenceTime")
    seconds = record["shadow"].pop("seconds")
    assert record == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "1,2\n",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv",
                "mode": "OUTPUT",
                "data": "0.5\n",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {"eventId": "id-1", "inferenceId": "a"},
        "eventVersion": "0",
        "shadow": {"endpointName": "fraud", "variantName": "next", "status": 200},
    }
    assert 0 <= seconds < PATIENCE
    (path,) = tmp_path.rglob("*.jsonl")
    hour = f"{moment[0:4]}/{moment[5:7]}/{moment[8:10]}"
    assert path.parent.parent == tmp_path / "fraud" / "next" / hour


@pytest.mark.parametrize(
    ("content_type", "body", "encoding", "data"),
    [
        ("application/json; charset=utf-8", b"[1]", "JSON", "[1]"),
        ("application/json", b"\xff", "BASE64", "/w=="),
        ("application/x-npy", b"\x93NUMPY", "BASE64", base64.b64encode(b"\x93NUMPY").decode()),
        ("", b"1", "BASE64", "MQ=="),
    ],
)
async def test_what_is_no_text_is_recorded_in_base64(
    tmp_path: Path, content_type: str, body: bytes, encoding: str, data: str
) -> None:
    recording = Recording(tmp_path)
    recording.core.answer = lambda _: Response(200, body, content_type)
    recording.offer()
    (record,) = await recording.records()
    output = record["captureData"]["endpointOutput"]
    assert output["observedContentType"] == content_type
    assert (output["encoding"], output["data"]) == (encoding, data)


@pytest.mark.parametrize(
    ("answer", "status", "data"),
    [
        (streamed(b"one", b"two"), 200, b"onetwo"),
        (lambda _: Response(418, b"teapot"), 418, b"teapot"),
        (lambda _: Response(503, b"the script's own"), 503, b"the script's own"),
        (streamed(b"one", PredictionError("It broke.")), 500, b"It broke."),
    ],
    ids=["stream", "error", "busy script", "broken stream"],
)
async def test_whatever_it_answers_is_recorded(
    tmp_path: Path, answer: Callable[[Request], Response], status: int, data: bytes
) -> None:
    recording = Recording(tmp_path)
    recording.core.answer = answer
    recording.offer()
    (record,) = await recording.records()
    output = record["captureData"]["endpointOutput"]
    text = output["data"].encode()
    assert data in (base64.b64decode(text) if output["encoding"] == "BASE64" else text)
    assert record["shadow"]["status"] == status


async def test_it_is_asked_with_its_own_model_and_time(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.offer(post(b"1", deadline=0.0, x_amzn_sagemaker_target_model="7.tar.gz", a="b"))
    await recording.records()
    request = recording.core.request
    assert request.headers == {"x-amzn-sagemaker-target-model": "9.tar.gz", "a": "b"}
    assert (request.body, request.deadline > 0) == (b"1", True)


@pytest.mark.parametrize(("chance", "asked"), [(0.0, True), (0.09, True), (0.1, False)])
async def test_it_is_asked_about_its_share(tmp_path: Path, chance: float, asked: bool) -> None:
    recording = Recording(tmp_path, share=0.1, chance=chance)
    recording.offer()
    assert len(await recording.records()) == asked


async def test_it_is_not_asked_while_the_server_is_busy(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.offer(answer=response(Overloaded("Full.")))
    assert await recording.records() == []
    assert recording.core.requests == []


@pytest.mark.parametrize(
    "request_",
    [
        post(b"1", x_amzn_sagemaker_session_id="NEW_SESSION"),
        post(b"1", x_amzn_sagemaker_session_id="abc"),
        post(b'{"requestType": "NEW_SESSION"}'),
    ],
)
async def test_it_takes_no_part_in_sessions(tmp_path: Path, request_: Request) -> None:
    recording = Recording(tmp_path)
    recording.offer(request_)
    assert await recording.records() == []
    assert recording.core.requests == []


async def test_a_refusal_for_want_of_capacity_is_not_recorded(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.core.answer = lambda _: response(Overloaded("Full."))
    for _ in range(shadow.MOST_AT_ONCE + 1):
        recording.offer()
        assert await recording.records() == []
    assert len(recording.core.requests) == shadow.MOST_AT_ONCE + 1


async def test_no_more_are_asked_at_once_than_may(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.core.answer = lambda _: None
    for _ in range(shadow.MOST_AT_ONCE + 5):
        recording.offer()
    await asyncio.sleep(0)
    assert len(recording.core.held) == shadow.MOST_AT_ONCE
    for reply in recording.core.held:
        reply.send(ANSWER)
    assert len(await recording.records()) == shadow.MOST_AT_ONCE
    recording.core.answer = lambda _: ANSWER
    recording.offer()
    assert len(await recording.records()) == shadow.MOST_AT_ONCE + 1


async def test_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "fraud").touch()
    recording = Recording(tmp_path)
    for _ in range(3):
        recording.offer()
        assert await recording.records() == []
    (tmp_path / "fraud").unlink()
    recording.offer()
    assert len(await recording.records()) == 1
    assert caplog.text.count("answers of a shadow variant are lost") == 1
