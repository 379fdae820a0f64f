"""A user's script: found, loaded, and its functions in place of an engine's."""

import asyncio
import io
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch

from serving import media, problems
from serving.engines import script, torch_formats
from serving.errors import (
    BadRequest,
    DecodeError,
    ModelLoadError,
    NotAcceptable,
    PredictionError,
    ServingError,
)
from serving.model import Model, Native
from serving.sessions import Sessions
from serving.settings import Settings
from serving.stacking import split, stack
from serving.streaming import Stream
from serving.values import Payload, Prediction, Request, Response

JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def _import_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", sys.path[:])
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if "script" in name or name in ("helper", "inference"):
            del sys.modules[name]


def write(folder: Path, source: str, name: str = "inference.py") -> Path:
    program = folder / "code" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(dedent(source))
    return folder


def serve(
    folder: Path, source: str, model: Model | None = None, settings: Settings | None = None
) -> Model:
    settings = settings or Settings()
    write(folder, source)
    program = script.find(folder, settings)
    assert program is not None
    return script.override(model, script.load(program, folder), folder, settings)


def ask(
    model: Model, body: bytes | str = b"[[1, 2]]", headers: dict[str, str] | None = None
) -> Response:
    raw = body.encode() if isinstance(body, str) else body
    request = Request("POST", "/invocations", JSON if headers is None else headers, raw)
    accept = request.headers.get("accept", "")
    accept = media.choose(accept, model.writes) if model.writes else accept
    return model.encode(model.predict(model.decode(request)), accept, request)


def answer(
    model: Model, body: bytes | str = b"[[1, 2]]", headers: dict[str, str] | None = None
) -> Any:
    response = ask(model, body, headers)
    assert response.status == 200
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


class Doubler(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


@pytest.fixture
def doubler() -> Model:
    return torch_formats.of_module(Doubler(), Settings())


# Finding and loading


def test_a_model_without_a_script_has_none(tmp_path: Path) -> None:
    assert script.find(tmp_path, Settings()) is None


@pytest.mark.parametrize("program", ["serve_it", "serve_it.py"])
def test_the_program_may_be_named_with_or_without_its_suffix(tmp_path: Path, program: str) -> None:
    write(tmp_path, "", "serve_it.py")
    assert script.find(tmp_path, Settings(program=program)) == tmp_path / "code" / "serve_it.py"


def test_a_named_program_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"no code/other\.py .* SAGEMAKER_PROGRAM"):
        script.find(tmp_path, Settings(program="other"))


def test_each_model_has_its_own_script_of_the_same_name(tmp_path: Path) -> None:
    source = "def model_fn(model_dir):\n    return lambda data: NUMBER\nNUMBER = {}\n"
    models = [
        serve(write(tmp_path / str(number), ""), source.replace("{}", str(number)))
        for number in (1, 2)
    ]
    assert [answer(model) for model in models] == [1, 2]


def test_modules_beside_the_script_can_be_imported(tmp_path: Path) -> None:
    write(tmp_path, "def half(data):\n    return data / 2\n", "helper.py")
    model = serve(tmp_path, "from helper import half\ndef model_fn(model_dir):\n    return half\n")
    assert answer(model, "[[1, 2]]") == [[0.5, 1]]


def test_data_classes_and_pickles_find_their_module(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        import pickle
        from dataclasses import dataclass

        @dataclass
        class Model:
            factor: int

            def predict(self, data):
                return data * self.factor

        def model_fn(model_dir):
            return pickle.loads(pickle.dumps(Model(3)))
        """,
    )
    assert answer(model, "[[1, 2]]") == [[3, 6]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ndef broken(:\n", r"failed at inference\.py, line 2: SyntaxError: invalid syntax$"),
        (
            "x = 1\nimport no_such_module\n",
            r"at inference\.py, line 2: ModuleNotFoundError: .*no_s",
        ),
        ("\n\n1 / 0\n", r"at inference\.py, line 3: ZeroDivisionError: division"),
        ("import sys\nsys.exit(3)\n", r"at inference\.py, line 2: SystemExit: 3"),
    ],
)
def test_a_script_that_cannot_be_imported_names_the_line(
    tmp_path: Path, source: str, message: str
) -> None:
    with pytest.raises(ModelLoadError, match=message):
        serve(tmp_path, source)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("model_fn", "", r"\(model_dir\) or \(model_dir, context\)"),
        ("model_fn", "model_dir, context, more", r"\(model_dir, context\)"),
        ("input_fn", "data", r"\(input_data, content_type\)"),
        ("predict_fn", "data, model, context, more", r"\(data, model, context\)"),
        ("output_fn", "*, prediction, accept", r"\(prediction, accept\)"),
        ("output_fn", "prediction, accept, *, more", r"\(prediction, accept\)"),
        ("transform_fn", "model, data, content_type", r"\(model, input_data, content_type, acc"),
        ("model_warmup_fn", "model_dir", r"\(model_dir, model\)"),
        ("pre_model_fn", "a, b, c", r"\(model_dir\)"),
    ],
)
def test_a_function_of_other_arguments_is_refused_at_load(
    tmp_path: Path, name: str, parameters: str, expected: str
) -> None:
    with pytest.raises(ModelLoadError, match=rf"{name}\(.*takes other arguments.*{expected}"):
        serve(tmp_path, f"def {name}({parameters}): ...")


@pytest.mark.parametrize(
    "parameters", ["model_dir", "model_dir, context", "d, context=None", "*args", "d, **more"]
)
def test_a_function_may_take_a_context_besides(tmp_path: Path, parameters: str) -> None:
    serve(tmp_path, f"def model_fn({parameters}):\n    return len")


def test_what_is_no_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"predict_fn in inference\.py is int, no function"):
        serve(tmp_path, "predict_fn = 3")


def test_transform_fn_excludes_the_functions_it_stands_for(tmp_path: Path) -> None:
    source = """
        def transform_fn(model, data, content_type, accept): ...
        def input_fn(data, content_type): ...
        def output_fn(prediction, accept): ...
    """
    with pytest.raises(ModelLoadError, match=r"transform_fn.*input_fn, output_fn too"):
        serve(tmp_path, source)


def test_functions_run_in_the_order_of_loading(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        calls = []
        def pre_model_fn(model_dir):
            calls.append(("pre", model_dir))
        def model_fn(model_dir):
            calls.append(("model", model_dir))
            return len
        def model_warmup_fn(model_dir, model):
            calls.append(("warmup", model_dir, model))
        def predict_fn(data, model):
            return [list(call[:2]) for call in calls], calls[2][2] is len
        """,
    )
    model = serve(tmp_path, (tmp_path / "code" / "inference.py").read_text())
    folder = str(tmp_path)
    assert answer(model) == [[["pre", folder], ["model", folder], ["warmup", folder]], True]


def test_pre_model_fn_runs_before_an_engine_loads(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        """
        from pathlib import Path
        def pre_model_fn(model_dir):
            Path(model_dir, "made").touch()
        """,
    )
    script.load(folder / "code" / "inference.py", folder)
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["pre_model_fn", "model_fn", "model_warmup_fn"])
def test_a_function_that_fails_to_load_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    other = "" if name == "model_fn" else "def model_fn(model_dir): return len\n"
    second = ", model" if name == "model_warmup_fn" else ""
    source = f"{other}def {name}(model_dir{second}):\n    raise ValueError('no weights')"
    line = source.count("\n") + 1
    with pytest.raises(
        ModelLoadError, match=rf"{name} failed at inference\.py, line {line}: ValueError: no weig"
    ):
        serve(tmp_path, source)


# The model that model_fn returns


@pytest.mark.parametrize(
    "returned",
    [
        "lambda data: data * 2",
        "type('Model', (), {'predict': lambda self, data: data * 2})()",
    ],
)
@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("[[1, 2]]", "application/json", [[2, 4]]),
        ('{"instances": [[0.5]]}', "application/json; charset=utf-8", [[1]]),
        ("1,2\n3,4\n", "text/csv", [[2, 4], [6, 8]]),
        ("[1, 2]\n[3, 4]\n", "application/jsonlines", [[2, 4], [6, 8]]),
        ("[9007199254740993]", "application/json", [18014398509481986]),
    ],
)
def test_a_model_that_can_be_called_or_predicts_needs_no_other_function(
    tmp_path: Path, returned: str, body: str, content_type: str, expected: Any
) -> None:
    model = serve(tmp_path, f"def model_fn(model_dir):\n    return {returned}\n")
    assert answer(model, body, {"content-type": content_type}) == expected


def test_json_that_is_no_array_reaches_the_model_as_it_is(tmp_path: Path) -> None:
    model = serve(tmp_path, "def model_fn(model_dir):\n    return lambda data: data\n")
    for value in ({"a": {"b": [1]}, "c": 2}, [[1], [2, 3]], ["x", "y"], [None, 1]):
        assert answer(model, json.dumps(value)) == value


def test_a_result_of_any_kind_has_a_form_in_json(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        import numpy as np
        def model_fn(model_dir):
            return lambda data: {"scores": data, "best": np.float32(0.5), "label": ("a", None)}
        """,
    )
    expected = {"scores": [[1, 2]], "best": 0.5, "label": ["a", None]}
    assert answer(model) == expected
    with pytest.raises(NotAcceptable):
        ask(model, headers=JSON | {"accept": "text/csv"})


def test_an_array_has_a_form_in_every_type(tmp_path: Path) -> None:
    model = serve(tmp_path, "def model_fn(model_dir):\n    return lambda data: data\n")
    assert ask(model, headers=JSON | {"accept": "text/csv"}).body == b"1,2\n"
    body = ask(model, headers=JSON | {"accept": "application/x-npy"}).body
    assert np.load(io.BytesIO(body)).tolist() == [[1, 2]]  # type: ignore[arg-type]
    assert ask(model, headers=JSON | {"accept": "application/jsonlines"}).body == b"[1,2]\n"


def test_a_model_that_cannot_predict_needs_a_predict_fn(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"model_fn returned dict.*predict_fn"):
        serve(tmp_path, "def model_fn(model_dir):\n    return {}")
    source = (
        "def model_fn(model_dir): return {'f': 2}\ndef predict_fn(data, m): return data * m['f']"
    )
    assert answer(serve(tmp_path / "b", source)) == [[2, 4]]


def test_a_model_that_fails_is_named_with_its_error(tmp_path: Path) -> None:
    model = serve(tmp_path, "def model_fn(model_dir):\n    return lambda data: data / 'x'\n")
    with pytest.raises(PredictionError, match=r"The model failed: TypeError: ufunc"):
        ask(model)


def test_an_error_in_a_module_beside_the_script_names_that_module(tmp_path: Path) -> None:
    write(tmp_path, "\n1 / 0\n", "helper.py")
    with pytest.raises(ModelLoadError, match=r"helper\.py, line 2: ZeroDivisionError"):
        serve(tmp_path, "import helper")


def test_a_torch_module_gets_tensors(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        import torch
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.drop = torch.nn.Dropout()
            def forward(self, x):
                assert x.dtype == torch.float32 and not torch.is_grad_enabled()
                return self.drop(x) * 2
        def model_fn(model_dir):
            return Net()
        """,
    )
    assert answer(model) == [[2, 4]]
    assert answer(model, "1,2\n", {"content-type": "text/csv"}) == [[2, 4]]


# Overriding an engine


def test_input_fn_gets_text_for_json_and_csv_and_bytes_for_the_rest(
    tmp_path: Path, doubler: Model
) -> None:
    model = serve(
        tmp_path,
        """
        def input_fn(input_data, content_type):
            return [type(input_data).__name__, content_type]
        def predict_fn(data, model):
            return data
        """,
        doubler,
    )
    for content_type, kind in (
        ("application/json", "str"),
        ("text/csv", "str"),
        ("text/csv; charset=utf-8", "str"),
        ("application/x-npy", "bytes"),
        ("image/png", "bytes"),
        ("text/plain", "bytes"),
    ):
        assert answer(model, b"1", {"content-type": content_type}) == [kind, content_type]
    assert answer(model, b"1", {}) == ["str", "application/json"]
    assert model.reads == ()


def test_a_body_that_is_no_text_though_its_type_says_so_is_the_clients_fault(
    tmp_path: Path, doubler: Model
) -> None:
    model = serve(tmp_path, "def input_fn(data, content_type): return data", doubler)
    with pytest.raises(DecodeError, match=r"not UTF-8"):
        ask(model, b"\xff", {"content-type": "text/csv"})
    latin = {"content-type": "text/csv; charset=iso-8859-1"}
    model = serve(
        tmp_path / "b",
        "def input_fn(d, c): return d\ndef predict_fn(d, m): return d",
        doubler,
    )
    assert answer(model, b"\xe9", latin) == "é"


def test_an_engines_predict_takes_what_input_fn_returns(tmp_path: Path, doubler: Model) -> None:
    model = serve(
        tmp_path,
        """
        import torch
        def input_fn(data, content_type):
            return torch.tensor([[float(x) for x in data.split(";")]])
        """,
        doubler,
    )
    assert answer(model, "1;2", {"content-type": "text/csv"}) == [[2, 4]]
    assert model.foreign == {"decode", "predict"}


def test_predict_fn_gets_the_toolkits_type_and_the_librarys_model(
    tmp_path: Path, doubler: Model
) -> None:
    model = serve(
        tmp_path,
        """
        import torch
        def predict_fn(data, model):
            assert isinstance(data, torch.Tensor) and isinstance(model, torch.nn.Module)
            return model(data) + 1
        """,
        doubler,
    )
    assert answer(model) == [[3, 5]]
    assert model.sample is None


def test_output_fn_gets_the_librarys_result(tmp_path: Path, doubler: Model) -> None:
    model = serve(
        tmp_path,
        """
        import torch
        def output_fn(prediction, accept):
            assert isinstance(prediction, torch.Tensor)
            return "|".join(str(x) for x in prediction.flatten().tolist())
        """,
        doubler,
    )
    assert ask(model).body == b"2.0|4.0"
    assert model.writes == ()


class Recorder:
    """An engine's model of arrays, stacked by its engine."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def model(self) -> Model:
        return Model(
            engine="fake",
            decode=lambda request: self.payload(np.array(json.loads(request.body))),
            predict=self.predict,
            encode=lambda prediction, accept, _: Response(
                200, json.dumps(prediction.outputs["y"].tolist()).encode(), accept
            ),
            reads=("application/json",),
            writes=("application/json",),
            native=Native("library", self.payload, lambda data: data["x"], lambda out: out["y"]),
        )

    @staticmethod
    def payload(value: Any) -> Payload:
        return Payload({"x": np.asarray(value)}, len(value), "rows")

    def predict(self, payload: Payload) -> Prediction:
        self.batches.append(len(payload.data["x"]))
        return Prediction({"y": payload.data["x"] * 2})


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


def test_transform_fn_does_all_of_a_request(tmp_path: Path, doubler: Model) -> None:
    model = serve(
        tmp_path,
        """
        def transform_fn(model, input_data, content_type, accept):
            return f"{type(model).__name__} {input_data} {content_type} {accept}", "text/plain"
        """,
        doubler,
    )
    response = ask(model, "1,2", {"content-type": "text/csv", "accept": "text/html, */*"})
    assert response.body == b"Doubler 1,2 text/csv text/html, */*"
    assert response.content_type == "text/plain"
    assert "decode" in model.foreign


def test_an_engine_without_a_native_side_takes_no_functions(tmp_path: Path) -> None:
    bare = Model(
        engine="bare",
        decode=Payload,
        predict=lambda payload: Prediction(payload.data),
        encode=lambda prediction, accept, request: Response(200),
        reads=(),
        writes=("application/json",),
    )
    with pytest.raises(ModelLoadError, match=r"bare engine cannot be combined.*model_fn"):
        serve(tmp_path, "def output_fn(prediction, accept): ...", bare)
    source = "def pre_model_fn(model_dir): ..."
    assert serve(tmp_path / "b", source, bare) is bare


# Answers


ECHO = """
def model_fn(model_dir): return None
def predict_fn(data, model): return data
def output_fn(prediction, accept): {}
"""


def echo(tmp_path: Path, body: str, settings: Settings | None = None) -> Model:
    return serve(tmp_path, ECHO.format(body), settings=settings)


@pytest.mark.parametrize(
    ("returned", "body", "content_type"),
    [
        ("'text ü'", "text ü".encode(), "text/csv"),
        ("b'bytes'", b"bytes", "text/csv"),
        ("bytearray(b'bytes')", b"bytes", "text/csv"),
        ("memoryview(b'bytes')", b"bytes", "text/csv"),
        ("''", b"", "text/csv"),
        ("('text', 'text/plain')", b"text", "text/plain"),
        ("[b'bytes', 'image/png'] and (b'bytes', 'image/png')", b"bytes", "image/png"),
    ],
)
def test_output_fn_returns_a_body_or_a_pair_with_its_type(
    tmp_path: Path, returned: str, body: bytes, content_type: str
) -> None:
    response = ask(echo(tmp_path, f"return {returned}"), headers=JSON | {"accept": "text/csv"})
    assert (response.status, response.body, response.content_type) == (200, body, content_type)


@pytest.mark.parametrize("returned", ["3", "None", "{'a': 1}", "['a']", "('a', 'b', 'c')"])
def test_another_body_is_refused_by_its_type(tmp_path: Path, returned: str) -> None:
    with pytest.raises(PredictionError, match=r"output_fn returned \w+; it must return text or b"):
        ask(echo(tmp_path, f"return {returned}"))


@pytest.mark.parametrize(
    ("accept", "seen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/csv, */*;q=0.1", "text/csv, */*;q=0.1"),
        ("image/png", "image/png"),
    ],
)
def test_output_fn_gets_what_the_client_accepts_or_the_default(
    tmp_path: Path, accept: str | None, seen: str
) -> None:
    headers = JSON if accept is None else JSON | {"accept": accept}
    response = ask(echo(tmp_path, "return accept"), headers=headers)
    assert response.body == seen.encode()
    assert response.content_type == seen


def test_the_default_accept_may_be_one_that_only_the_script_can_write(tmp_path: Path) -> None:
    model = echo(tmp_path, "return accept", Settings(default_accept="image/webp"))
    assert ask(model).body == b"image/webp"


def test_a_generator_is_a_body_made_while_it_is_sent(tmp_path: Path) -> None:
    body = ask(echo(tmp_path, "return (str(n) for n in range(3))")).body
    assert isinstance(body, Stream)
    assert asyncio.run(joined(body)) == b"012"


async def joined(body: Stream) -> bytes:
    return b"".join([chunk async for chunk in body])


# Failures


def failing(tmp_path: Path, definition: str) -> Model:
    return serve(
        tmp_path,
        definition
        + "\ndef model_fn(model_dir): return len\ndef predict_fn(data, model): raise Failure()\n",
    )


def test_an_exception_names_the_function_and_the_error_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = serve(
        tmp_path, "def model_fn(d): return len\ndef predict_fn(d, m): raise ValueError('no')"
    )
    with pytest.raises(PredictionError) as caught:
        ask(model)
    response = problems.response(caught.value)
    assert response.status == 500
    assert json.loads(response.body) == {  # type: ignore[arg-type]
        "code": 500,
        "type": "PredictionError",
        "message": "predict_fn failed: ValueError: no",
    }
    assert "inference.py" in caplog.text


@pytest.mark.parametrize(
    ("definition", "status", "name", "message"),
    [
        (
            "class Failure(Exception):\n    status_code, message, phrase = 422, 'bad pixel', 'P'\n",
            422,
            "Failure",
            "bad pixel",
        ),
        (
            "class Failure(Exception):\n    status = 404\n    def __str__(self): return 'none'\n",
            404,
            "Failure",
            "none",
        ),
        (
            "class Failure(Exception):\n    status_code, detail = 503, 'later'\n",
            503,
            "Failure",
            "later",
        ),
        ("class Failure(Exception):\n    status_code = 200\n", 500, "PredictionError", None),
        ("class Failure(Exception):\n    status_code = '422'\n", 500, "PredictionError", None),
        (
            "from serving.errors import NotFound\ndef Failure(): return NotFound('no such row')\n",
            404,
            "NotFound",
            "no such row",
        ),
        ("def Failure(): return SystemExit(3)\n", 500, "PredictionError", None),
    ],
)
def test_an_exception_with_a_status_becomes_that_status(
    tmp_path: Path, definition: str, status: int, name: str, message: str | None
) -> None:
    model = failing(tmp_path, definition)
    with pytest.raises(ServingError) as caught:
        ask(model)
    response = problems.response(caught.value)
    body = json.loads(response.body)  # type: ignore[arg-type]
    assert (response.status, body["code"], body["type"]) == (status, status, name)
    assert body["message"] == message if message else body["message"].startswith("predict_fn fai")


# Coroutines


def test_coroutine_functions_run_to_their_end_in_one_loop_a_thread(tmp_path: Path) -> None:
    source = """
        import asyncio
        async def model_fn(model_dir):
            await asyncio.sleep(0)
            return []
        async def input_fn(data, content_type):
            return data
        async def predict_fn(data, model):
            await asyncio.sleep(0)
            model.append(asyncio.get_running_loop())
            return len(set(model))
        async def output_fn(prediction, accept):
            return f"{prediction}!"
    """
    answers: list[Any] = []

    def work() -> None:
        model = serve(tmp_path, source)
        answers.extend(ask(model).body for _ in range(2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [b"1!", b"1!"]


def test_a_coroutine_that_fails_is_named(tmp_path: Path) -> None:
    source = "def model_fn(d): return len\nasync def predict_fn(d, m): raise ValueError('no')"
    model = serve(tmp_path, source)
    with pytest.raises(PredictionError, match=r"predict_fn failed: ValueError: no"):
        ask(model)
    assert asyncio.run(asyncio.sleep(0, "the loop of this thread is free")) is not None


# Context


def test_one_context_follows_a_request_through_all_functions(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        def model_fn(model_dir, context):
            return context.system_properties["model_dir"]
        def input_fn(data, content_type, context):
            context.note = data
            context.set_response_header(0, "x-input", context.get_request_header(0, "X-Name"))
            return data
        def predict_fn(data, model, context):
            context.set_response_status(202)
            return model
        def output_fn(prediction, accept, context):
            context.set_response_content_type(0, "text/plain")
            return f"{context.note} {prediction}"
        """,
    )
    for name in ("one", "two"):
        response = ask(model, f'"{name}"', JSON | {"x-name": name})
        assert response == Response(
            202, f'"{name}" {tmp_path}'.encode(), "text/plain", (("x-input", name),)
        )


def test_a_context_reaches_a_predict_fn_behind_an_engines_decode(
    tmp_path: Path, doubler: Model
) -> None:
    model = serve(
        tmp_path,
        """
        def predict_fn(data, model, context):
            context.set_response_header(0, "x-rows", len(data))
            return model(data)
        """,
        doubler,
    )
    response = ask(model, "[[1, 2]]")
    assert response.headers == (("x-rows", "1"),)
    assert response.body == b"[[2.0,4.0]]"


def test_what_input_fn_sets_survives_an_engines_predict_and_encode(tmp_path: Path) -> None:
    model = serve(
        tmp_path,
        """
        import json
        def input_fn(data, content_type, context):
            context.set_response_header(0, "x-seen", "yes")
            return json.loads(data)
        """,
        Recorder().model(),
    )
    response = ask(model)
    assert response.headers == (("x-seen", "yes"),)
    assert response.body == b"[[2, 4]]"


def test_an_output_fns_own_type_wins_over_the_contexts(tmp_path: Path) -> None:
    source = """
        def model_fn(model_dir): return len
        def output_fn(prediction, accept, context):
            context.set_response_content_type(0, "text/plain")
            return b"x", "image/png"
    """
    assert ask(serve(tmp_path, source)).content_type == "image/png"


# Sessions

COUNTS_TURNS = """
def model_fn(model_dir):
    return None

def input_fn(data, content_type):
    return data

def predict_fn(data, model, context):
    turn = context.session.get("turn", 0) + 1
    context.session.put("turn", turn)
    return f"{context.session_id}: {turn}"

def output_fn(prediction, accept):
    return prediction
"""


@pytest.fixture
def with_sessions(tmp_path: Path) -> Settings:
    return Settings(sessions=True, sessions_path=tmp_path / "sessions")


def open_session(settings: Settings) -> str:
    """Its id."""
    store = Sessions(settings.sessions_path, settings.sessions_expiration)
    ((_, value),) = store.create().headers
    return value.partition(";")[0]


@pytest.mark.parametrize(
    "source",
    [
        COUNTS_TURNS,
        """
        def model_fn(model_dir):
            return None

        def transform_fn(model, data, content_type, accept, context):
            context.session.put("turn", context.session.get("turn", 0) + 1)
            return f"{context.session_id}: {context.session.get('turn')}"
        """,
    ],
)
def test_a_script_keeps_values_for_the_session_of_a_request(
    tmp_path: Path, with_sessions: Settings, source: str
) -> None:
    # Two workers, each with the model.
    models = [serve(tmp_path, source, settings=with_sessions) for _ in range(2)]
    one, other = open_session(with_sessions), open_session(with_sessions)
    asked = [(one, 0), (one, 1), (other, 1), (one, 0)]
    answers = [
        ask(models[number], "", {"x-amzn-sagemaker-session-id": session}).body
        for session, number in asked
    ]
    expected = [f"{one}: 1", f"{one}: 2", f"{other}: 1", f"{one}: 3"]
    assert answers == [line.encode() for line in expected]


@pytest.mark.parametrize("on", [True, False])
def test_a_script_sees_no_session_where_there_is_none(tmp_path: Path, on: bool) -> None:
    source = """
    def model_fn(model_dir):
        return lambda data: data

    def output_fn(prediction, accept, context):
        named = context.get_request_header(0, "X-Amzn-SageMaker-Session-Id")
        return f"{context.session} {context.session_id} {named}"
    """
    settings = Settings(sessions=on, sessions_path=tmp_path / "sessions")
    model = serve(tmp_path, source, settings=settings)
    assert ask(model).body == b"None None None"
    if not on:
        headers = JSON | {"x-amzn-sagemaker-session-id": "mine"}
        assert ask(model, headers=headers).body == b"None None mine"


def test_a_session_that_was_closed_while_its_request_waited_is_the_clients_error(
    tmp_path: Path, with_sessions: Settings
) -> None:
    model = serve(tmp_path, COUNTS_TURNS, settings=with_sessions)
    name = "7d0a4f5e-0000-4000-8000-000000000000"
    with pytest.raises(BadRequest, match="is unknown, or has expired"):
        ask(model, "", {"x-amzn-sagemaker-session-id": name})
