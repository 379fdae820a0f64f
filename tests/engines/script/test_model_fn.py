"""The model that model_fn returns, with no other function beside it."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.errors import ModelLoadError, NotAcceptable, PredictionError
from tests.engines.script.support import JSON, answer, ask, serve, write


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
