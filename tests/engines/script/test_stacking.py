"""Which requests are stacked between a script's functions."""

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ModelLoadError
from serving.model import Model
from serving.stacking import split, stack
from serving.values import Request
from tests.engines.script.support import JSON, Recorder, answer, serve


def stacked(model: Model, *bodies: str) -> list[Any]:
    """What the server does with requests that wait together."""
    requests = [Request("POST", "/invocations", JSON, body.encode()) for body in bodies]
    payloads = [model.decode(request) for request in requests]
    assert len({payload.merge_key for payload in payloads}) == 1
    assert payloads[0].merge_key is not None
    parts = split(model.predict(stack(payloads)), [payload.rows for payload in payloads])
    responses = [
        model.encode(part, "application/json", request)
        for part, request in zip(parts, requests, strict=True)
    ]
    return [json.loads(response.body) for response in responses]  # type: ignore[arg-type]


def test_an_engine_still_stacks_between_a_scripts_functions(tmp_path: Path) -> None:
    recorder = Recorder()
    model = serve(
        tmp_path,
        """
        import json
        def input_fn(data, content_type):
            return json.loads(data)["rows"]
        def output_fn(prediction, accept):
            return json.dumps({"sums": prediction.sum(axis=1).tolist()})
        """,
        recorder.model(),
    )
    answers = stacked(model, '{"rows": [[1, 2]]}', '{"rows": [[3, 4], [5, 6]]}')
    assert answers == [{"sums": [6]}, {"sums": [14, 22]}]
    assert recorder.batches == [3]
    assert model.foreign == {"decode", "encode"}


def test_a_predict_fn_is_given_one_request_at_a_time(tmp_path: Path) -> None:
    source = "def predict_fn(data, model): return data"
    model = serve(tmp_path, source, Recorder().model())
    request = Request("POST", "/invocations", JSON, b"[[1]]")
    assert model.decode(request).merge_key is None


def test_stack_rows_lets_a_predict_fn_take_several_requests(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        import json
        import numpy as np
        stack_rows = True
        def model_fn(model_dir):
            return []
        def input_fn(data, content_type):
            return {"x": np.array(json.loads(data))}
        def predict_fn(data, model):
            model.append(len(data["x"]))
            return {"y": data["x"] * 2, "batch": np.full(len(data["x"]), model[-1])}
        """,
    )
    answers = stacked(model, "[[1]]", "[[2], [3]]")
    assert answers == [
        {"y": [[2]], "batch": [3]},
        {"y": [[4], [6]], "batch": [3, 3]},
    ]


def test_stack_rows_stacks_an_engines_decoded_rows(tmp_path: Path, doubler: Model) -> None:
    source = "stack_rows = True\ndef predict_fn(data, model): return model(data)"
    model = serve(tmp_path, source, doubler)
    assert stacked(model, "[[1, 2]]", "[[3, 4]]") == [[[2, 4]], [[6, 8]]]


def test_what_cannot_be_stacked_is_given_alone(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        stack_rows = True
        def model_fn(model_dir): return None
        def input_fn(data, content_type): return data
        def predict_fn(data, model): return data
        """,
    )
    assert answer(model, '"a"') == '"a"'


@pytest.mark.parametrize(
    "functions",
    [
        "",
        "def predict_fn(d, m, context): ...",
        "def predict_fn(d, m): ...\ndef input_fn(d, c, x): ...",
    ],
)
def test_stacked_rows_belong_to_no_single_context(tmp_path: Path, functions: str) -> None:
    with pytest.raises(ModelLoadError, match=r"stack_rows = True, which needs"):
        serve(tmp_path, f"stack_rows = True\ndef model_fn(d): return len\n{functions}")
