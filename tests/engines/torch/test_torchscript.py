"""TorchScript: what it takes, answers, and when its rows are stacked."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from serving import footprint
from serving.engines import torch as engine
from serving.errors import DecodeError, ModelLoadError, PredictionError
from serving.stacking import split, stack
from tests.engines.torch.support import (
    ROW,
    Centred,
    Counter,
    Embeds,
    Half,
    Named,
    Net,
    Pair,
    Positive,
    TakesDict,
    ask,
    load,
    npy,
    request,
    script,
)


def test_model_pt_is_preferred(tmp_path: Path) -> None:
    for name in ("a.pth", "model.pt", "b.pt2"):
        (tmp_path / name).touch()
    assert engine.files(tmp_path) == [tmp_path / "model.pt"]


def test_several_files_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("a.pth", "b.pt"):
        (tmp_path / name).touch()
    with pytest.raises(ModelLoadError, match=r"Exactly one .* a\.pth, b\.pt\..*model\.pt"):
        load(tmp_path / "b.pt")


def test_torchscript_answers_as_the_module_in_evaluation(tmp_path: Path) -> None:
    net = Net()
    model = load(script(tmp_path / "model.pt", net))
    with torch.inference_mode():
        expected = net.eval()(torch.from_numpy(ROW)).numpy()
    assert np.array(ask(model, json.dumps(ROW.tolist())), np.float32).tobytes() == (
        expected.tobytes()
    )
    assert model.inputs == (("x", "", ()),)
    assert model.devices == ("cpu",)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("[[1, 2, 3, 4]]", "application/json"),
        ('{"instances": [[1, 2, 3, 4]]}', "application/json"),
        ('{"inputs": {"x": [[1, 2, 3, 4]]}}', "application/json"),
        ("1,2,3,4\n", "text/csv"),
        ("[1, 2, 3, 4]\n", "application/jsonlines"),
        (npy(ROW), "application/x-npy"),
    ],
)
def test_torchscript_takes_every_tabular_form(
    tmp_path: Path, body: str | bytes, content_type: str
) -> None:
    model = load(script(tmp_path / "model.pt", Net()))
    assert np.allclose(sum(ask(model, body, content_type)[0]), 1)


def test_npy_keeps_its_type(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", Embeds()))
    assert len(ask(model, npy(np.array([[1, 2, 3]])), "application/x-npy")[0]) == 2
    with pytest.raises(PredictionError, match=r"The model failed: RuntimeError: .*Float"):
        ask(model, "[[1, 2, 3]]")


def test_what_torchscript_raises_is_the_models_failure(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", Positive()))
    assert ask(model, "[[1, 2]]") == [[1, 2]]
    with pytest.raises(PredictionError, match=r"The model failed: Error: .*a value is negative"):
        ask(model, "[[-1, 2]]")


@pytest.mark.parametrize("module", [Pair(), Named()])
def test_outputs_have_names(tmp_path: Path, module: torch.nn.Module) -> None:
    model = load(script(tmp_path / "model.pt", module))
    if isinstance(module, Pair):
        body = '{"inputs": {"a": [[1, 2]], "b": [[3, 4]]}}'
        assert ask(model, body) == {"output_0": [[4, 6]], "output_1": [[3, 8]]}
    else:
        assert ask(model, "[[2, 4]]") == {"double": [[4, 8]], "half": [[1, 2]]}


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", Pair()))
    with pytest.raises(DecodeError, match=r"names a; the model takes a: numbers.*b: numbers"):
        ask(model, '{"inputs": {"a": [[1, 2]]}}')


def test_types_numpy_does_not_have_become_float32(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", Half()))
    assert ask(model, "[[0.5, 1]]") == [[0.5, 1]]


def test_torchscript_rows_are_stacked_once_they_proved_independent(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", Net()))
    first = model.decode(request("[[1, 2, 3, 4]]"))
    assert first.merge_key is None
    alone = model.predict(first).outputs["output_0"]
    again = [model.decode(request(body)) for body in ("[[1, 2, 3, 4]]", "[[0, 0, 0, 0]]")]
    assert again[0].merge_key == again[1].merge_key is not None
    parts = split(model.predict(stack(again)), [1, 1])
    assert np.allclose(parts[0].outputs["output_0"], alone)


@pytest.mark.parametrize("module", [Centred(), Counter()])
def test_torchscript_rows_that_affect_others_are_never_stacked(
    tmp_path: Path, module: torch.nn.Module
) -> None:
    model = load(script(tmp_path / "model.pt", module))
    for _ in range(2):
        payload = model.decode(request("[[1, 2, 3, 4]]"))
        model.predict(payload)
        assert payload.merge_key is None


def test_a_module_that_counts_its_calls_is_called_once_a_request(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", Counter()))
    assert [ask(model, "[[0, 1]]")[0][0] for _ in range(3)] == [1, 2, 3]


def test_symmetric_rows_prove_nothing(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", Centred()))
    for _ in range(2):
        payload = model.decode(request("[[1, 1]]"))
        model.predict(payload)
        assert payload.merge_key is None


def test_a_module_that_takes_no_tensors_asks_for_an_input_fn(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", TakesDict()))
    with pytest.raises(PredictionError, match=r"batch: Dict\[str, Tensor\].*input_fn"):
        model.decode(request("[[1]]"))
    assert model.native is not None
    for _ in range(2):
        payload = model.native.payload({"x": torch.ones(1, 2)})
        assert model.predict(payload).outputs["output_0"].tolist() == [[2, 2]]


def test_inputs_of_unknown_shapes_may_differ_in_their_rows(tmp_path: Path) -> None:
    model = load(script(tmp_path / "model.pt", Pair()))
    for body in ('{"a": [[1, 2], [3, 4]], "b": [[1, 1]]}', '{"a": [[1, 2]], "b": 2}'):
        payload = model.decode(request(body))
        assert model.predict(payload).outputs["output_0"].shape[1] == 2
        assert model.decode(request(body)).merge_key is None


def test_what_it_keeps_of_the_gpus_memory_can_be_given_back(tmp_path: Path) -> None:
    path = script(tmp_path / "model.pt", Net())
    for _ in range(2):
        load(path)
    assert footprint.caches.count(torch.cuda.empty_cache) == 1
