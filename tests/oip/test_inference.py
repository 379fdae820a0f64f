"""What models get of inference requests, and how their answers come back: engines and scripts."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from serving import engines
from serving.application import Application
from serving.batching import Batcher
from serving.model import Tensor
from serving.service import INLINE_BODY, Service, Tools
from serving.values import Payload, Request
from serving.warmup import UNKNOWN
from tests.conftest import MakeSettings
from tests.models import SCRIPT, stump
from tests.support import PATIENCE, Fake, Recorder, get, post

Given = dict[str, Any]
Ask = Callable[..., Given]
Serve = Callable[[Mapping[str, str]], Ask]

ROWS = {"name": "features", "datatype": "FP32", "shape": [2, 2], "data": [0, 5, 2, 5]}


def infer(*inputs: Given, **others: Any) -> Request:
    body = orjson.dumps({"inputs": inputs, **others})
    return Request("POST", "/v2/models/model/infer", {}, body)


def body(text: str) -> Given:
    return {"name": "body", "datatype": "BYTES", "shape": [1], "data": [text]}


def tensor(name: str, values: list[Any], datatype: str = "FP32") -> Given:
    shape = list(np.shape(values))
    return {"name": name, "datatype": datatype, "shape": shape, "data": values}


@pytest.fixture
def serve(tmp_path: Path, make_settings: MakeSettings) -> Iterator[Serve]:
    """Serves a stump with a script; the answer to a request is the status and the JSON."""
    runner = asyncio.Runner()
    applications: list[Application] = []

    def serve(files: Mapping[str, str]) -> Ask:
        (tmp_path / "code").mkdir()
        for name, content in files.items():
            (tmp_path / "code" / name).write_text(content)
        stump().save_model(tmp_path / "model.json")
        application = runner.run(loaded())
        applications.append(application)
        return lambda request: runner.run(answer(application, request))

    async def loaded() -> Application:
        loop, settled = asyncio.get_running_loop(), asyncio.Event()
        application = Application(make_settings(), loop)
        application.load(tmp_path, lambda _: settled.set())
        await asyncio.wait_for(settled.wait(), PATIENCE)
        return application

    async def answer(application: Application, request: Request) -> Given:
        reply = Recorder()
        application.handle(request, reply)
        response = await reply.answer()
        assert isinstance(response.body, bytes)
        told: Given = {"status": response.status, "headers": dict(response.headers)}
        told |= orjson.loads(response.body)
        return told

    yield serve
    for application in applications:
        application.close()
    runner.close()


def outputs(told: Given) -> dict[str, Any]:
    """The values of a good answer's outputs by their names."""
    assert told["status"] == 200, told
    return {output["name"]: output["data"] for output in told["outputs"]}


PREDICT = """
def predict_fn(data, model):
    return {"scores": model.predict(data), "words": ["a", "b"]}
"""

CONTEXT = """
def predict_fn(data, model, context):
    context.set_response_header(0, "x-seen", context.get_request_header(0, "x-asked"))
    return model.predict(data)
"""

ALONE = """
import numpy as np

def model_fn(model_dir):
    return None

def predict_fn(data, model):
    if isinstance(data, dict):
        return {name: np.flip(array) for name, array in data.items()}
    return data if data.dtype == object else data * 2
"""

INPUT = """
def input_fn(body, content_type):
    assert content_type == "text/x-pairs", content_type
    return [[float(cell) for cell in row.split("/")] for row in body.decode().split()]
"""

OUTPUT = """
def output_fn(prediction, accept):
    return f"{accept}: {prediction.tolist()}"
"""

TRANSFORM = """
def transform_fn(model, data, content_type, accept, context):
    if data == "bad":
        context.set_response_status(422)
        return "no good"
    context.set_response_header(0, "x-seen", content_type)
    return data.upper(), "text/x-loud"
"""


def test_predict_fn_gets_what_it_gets_of_other_bodies(serve: Serve) -> None:
    ask = serve({"inference.py": PREDICT})
    told = ask(infer(ROWS))
    assert outputs(told) == {"scores": [1.0, 3.0], "words": ["a", "b"]}
    assert [output["datatype"] for output in told["outputs"]] == ["FP32", "BYTES"]
    assert ask(get("/v2/models/model"))["inputs"] == [
        {"name": "features", "datatype": "FP32", "shape": [-1, 2]}
    ]


def test_predict_fn_sees_the_request_and_sets_the_responses_fields(serve: Serve) -> None:
    ask = serve({"inference.py": CONTEXT})
    told = ask(infer(ROWS)._replace(headers={"x-asked": "yes"}))
    assert outputs(told) == {"output_0": [1.0, 3.0]}
    assert told["headers"]["x-seen"] == "yes"


def test_a_script_whose_model_is_its_own_gets_one_array_or_several_by_name(serve: Serve) -> None:
    ask = serve({"inference.py": ALONE})
    assert outputs(ask(infer(tensor("x", [1, 2], "INT64")))) == {"output_0": [2, 4]}
    assert outputs(ask(infer(tensor("x", ["a"], "BYTES")))) == {"output_0": ["a"]}
    both = infer(tensor("a", [1, 2]), tensor("b", [True, False], "BOOL"))
    assert outputs(ask(both)) == {"a": [2.0, 1.0], "b": [False, True]}


def test_input_fn_gets_the_body_and_its_type(serve: Serve) -> None:
    ask = serve({"inference.py": INPUT})
    data = {**body("0/5 2/5"), "data": ["0/5 2/5"]}
    told = ask(infer(data, parameters={"content_type": "text/x-pairs"}))
    assert outputs(told) == {"score": [1.0, 3.0]}
    about = ask(get("/v2/models/model"))
    assert about["inputs"] == [{"name": "body", "datatype": "BYTES", "shape": [1]}]
    assert about["outputs"] == [{"name": "score", "datatype": "FP32", "shape": [-1]}]


def test_tensors_for_an_input_fn_are_refused_with_what_would_do(serve: Serve) -> None:
    ask = serve({"inference.py": INPUT})
    for request in (infer(ROWS), infer(body("x"), ROWS), infer({**ROWS, "name": "body"})):
        told = ask(request)
        assert told["status"] == 400
        assert "send it as 'body', BYTES of shape [1]" in told["error"]


def test_what_output_fn_writes_is_the_one_element_of_body(serve: Serve) -> None:
    ask = serve({"inference.py": OUTPUT})
    wanted = {"parameters": {"accept": "text/x-list"}}
    assert outputs(ask(infer(ROWS, **wanted))) == {"body": ["text/x-list: [1.0, 3.0]"]}
    told = ask(infer(ROWS, outputs=[{"name": "score"}]))
    assert (told["status"], told["error"]) == (400, "The model has no output 'score'; it has body.")


def test_transform_fn_gets_a_body_and_gives_one(serve: Serve) -> None:
    ask = serve({"inference.py": TRANSFORM})
    told = ask(infer(body("abc")))
    assert outputs(told) == {"body": ["ABC"]}
    assert told["headers"]["x-seen"] == "application/json"


def test_a_scripts_own_refusal_is_an_error_of_the_protocol(serve: Serve) -> None:
    ask = serve({"inference.py": TRANSFORM})
    told = ask(infer(body("bad")))
    assert (told["status"], told["error"]) == (422, "no good")


def test_a_stream_is_refused_with_where_it_can_be_had(serve: Serve) -> None:
    ask = serve({"inference.py": SCRIPT})
    parameters = {"content_type": "text/x-numbers", "accept": "text/event-stream"}
    told = ask(infer(body("1"), parameters=parameters))
    assert told["status"] == 406
    assert "/invocations" in told["error"]


def test_a_scripts_bug_is_an_error_without_a_traceback(serve: Serve) -> None:
    ask = serve({"inference.py": SCRIPT})
    told = ask(infer(body("x"), parameters={"content_type": "text/x-numbers"}))
    assert told["status"] == 500
    assert told["error"].startswith("input_fn failed: ValueError")


def test_parameters_that_are_no_media_types_are_refused(serve: Serve) -> None:
    ask = serve({"inference.py": TRANSFORM})
    for value in (7, "a\r\nb"):
        told = ask(infer(body("x"), parameters={"content_type": value}))
        assert (told["status"], "media type" in told["error"]) == (400, True)


def test_every_engine_says_how_it_takes_tensors(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    stump().save_model(tmp_path / "model.json")
    model = engines.load(tmp_path, make_settings())
    assert model.take is not None
    payload = model.take({"features": np.ones((3, 2))}, post())
    assert (payload.rows, payload.data.dtype, payload.merge_key) == (3, np.float32, model.merge_key)


# The queue is one for all.


def numbers(fake: Fake, make_settings: MakeSettings) -> Service:
    """A service of a fake model that takes one number a row, called x."""

    def take(arrays: Mapping[str, Any], _request: Request) -> Payload:
        return Payload(arrays["x"][:, np.newaxis], len(arrays["x"]), "")

    model = fake.model(take=take, inputs=(Tensor("x", "float64", (None,)),))
    batcher = Batcher(model, UNKNOWN, asyncio.get_running_loop(), max_rows=1000, max_queue=1000)
    return Service(model, batcher, Tools.of(make_settings(), asyncio.get_running_loop()))


async def test_tensors_and_other_bodies_are_predicted_together(make_settings: MakeSettings) -> None:
    fake = Fake(held=True)
    service = numbers(fake, make_settings)
    first, bare, tensors = Recorder(), Recorder(), Recorder()
    service.handle(post(b"1"), first)
    fake.began()
    service.handle(post(b"2"), bare)
    service.handle(infer(tensor("x", [3.0, 4.0], "FP64")), tensors)
    fake.release(2)
    await first.answer()
    assert (await bare.answer()).body == b"4\n"
    told = orjson.loads((await tensors.answer()).body)  # type: ignore[arg-type]
    assert told["outputs"] == [
        {"name": "doubled", "datatype": "FP64", "shape": [2, 1], "data": [6.0, 8.0]}
    ]
    assert fake.calls == [[1.0], [2.0, 3.0, 4.0]]
    service.close()


async def test_a_large_request_is_read_off_the_event_loop(make_settings: MakeSettings) -> None:
    fake = Fake()
    service = numbers(fake, make_settings)
    reply = Recorder()
    service.handle(infer(tensor("x", [1.0] * INLINE_BODY, "FP64")), reply)
    assert fake.calls == []
    assert (await reply.answer()).status == 200
    assert len(fake.calls[0]) == INLINE_BODY
    service.close()


async def test_a_request_that_is_too_late_is_told_as_the_protocol_has_it(
    make_settings: MakeSettings,
) -> None:
    fake = Fake(held=True)
    service = numbers(fake, make_settings)
    busy, late = Recorder(), Recorder()
    service.handle(post(b"1"), busy)
    fake.began()
    request = infer(tensor("x", [1.0], "FP64"))._replace(deadline=time.monotonic() + 0.5)
    service.handle(request, late)
    answer = await late.answer()
    assert answer.status == 504
    assert orjson.loads(answer.body) == {  # type: ignore[arg-type]
        "error": "The request ran out of time waiting for the model."
    }
    fake.release()
    await busy.answer()
    service.close()
