"""A script's functions in place of an engine's."""

from pathlib import Path

import pytest

from serving.errors import DecodeError, ModelLoadError
from serving.model import Model
from serving.values import Payload, Prediction, Response
from tests.engines.script.support import answer, ask, serve


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
