"""PyTorch models: TorchScript, programs of torch.export, pickles, and what is refused."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.export import Dim

from serving import footprint
from serving.engines import torch as engine
from serving.errors import BadRequest, DecodeError, ModelLoadError, PredictionError
from serving.model import Model
from serving.settings import Settings
from serving.stacking import split, stack
from serving.values import Payload, Request

ONE_THREAD = Settings(threads=1, workers=2)
ROW = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(8, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layers(x), -1)


class Pair(torch.nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return a + b, a * b


class Named(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"double": x * 2, "half": x / 2}


class Centred(torch.nn.Module):
    """Each row's answer depends on the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=0)


class Counter(torch.nn.Module):
    """Each answer depends on the calls before."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + self.calls


class TakesDict(torch.nn.Module):
    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return batch["x"] * 2


class Embeds(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(10, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.table(tokens)
        return vectors.sum(1)


class Positive(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert bool((x > 0).all()), "a value is negative"
        return x


class Half(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.bfloat16)


def script(path: Path, module: torch.nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript itself
        torch.jit.save(torch.jit.script(module), path)
    return path


def export(
    path: Path,
    module: torch.nn.Module,
    *arguments: torch.Tensor,
    dynamic: Any = None,
) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), arguments, dynamic_shapes=dynamic)
        torch.export.save(program, path)
    return path


def load(path: Path, settings: Settings = ONE_THREAD) -> Model:
    return engine.load(engine.files(path.parent), settings)


def request(body: str | bytes, content_type: str = "application/json") -> Request:
    raw = body.encode() if isinstance(body, str) else body
    return Request("POST", "/invocations", {"content-type": content_type}, raw)


def ask(model: Model, body: str | bytes, content_type: str = "application/json") -> Any:
    asked = request(body, content_type)
    response = model.encode(model.predict(model.decode(asked)), "application/json", asked)
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


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


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.pt2"
    return export(path, Net(), torch.zeros(2, 4), dynamic=({0: Dim("rows")},))


def test_an_exported_program_declares_its_inputs_and_outputs(exported: Path) -> None:
    model = load(exported)
    assert model.inputs == (("x", "float32", (None, 4)),)
    assert model.outputs == (("output_0", "float32", (None, 3)),)
    assert model.merge_key is not None
    assert model.predict(Payload(model.sample)).outputs["output_0"].shape == (1, 3)


def test_an_exported_program_answers_as_the_module(exported: Path) -> None:
    with torch.inference_mode():
        expected = Net().eval()(torch.from_numpy(ROW)).numpy()
    answer = np.array(ask(load(exported), "[1, 2, 3, 4]"), np.float32)
    assert np.allclose(answer, expected)


def test_a_misfit_with_an_exported_program_is_named(exported: Path) -> None:
    with pytest.raises(DecodeError, match=r"'x' takes float32 of shape \(rows, 4\).*\(1, 3\)"):
        ask(load(exported), "[[1, 2, 3]]")


def test_an_exported_program_of_a_fixed_batch_takes_any_number_of_rows(tmp_path: Path) -> None:
    model = load(export(tmp_path / "model.pt2", Net(), torch.zeros(2, 4)))
    assert model.inputs[0].shape == (None, 4)
    answer = ask(model, json.dumps(np.repeat(ROW, 3, 0).tolist()))
    assert len(answer) == 3
    assert answer[0] == answer[2]


def test_an_exported_program_of_several_inputs_and_outputs(tmp_path: Path) -> None:
    path = export(tmp_path / "model.pt2", Pair(), torch.zeros(1, 2), torch.zeros(1, 2))
    model = load(path)
    assert [tensor.name for tensor in model.inputs] == ["a", "b"]
    assert ask(model, "1,2,3,4\n", "text/csv") == {"output_0": [[4, 6]], "output_1": [[3, 8]]}


def test_an_exported_program_of_nested_and_fixed_arguments(tmp_path: Path) -> None:
    class Nested(torch.nn.Module):
        def forward(
            self, x: torch.Tensor, scale: int, more: dict[str, torch.Tensor]
        ) -> dict[str, Any]:
            return {"sum": x * scale + more["y"], "both": (x, more["y"])}

    values = (torch.zeros(1, 2), 3, {"y": torch.zeros(1, 2)})
    torch.export.save(torch.export.export(Nested(), values), tmp_path / "model.pt2")
    model = load(tmp_path / "model.pt2")
    assert [tensor.name for tensor in model.inputs] == ["x", "more_y"]
    assert [tensor.name for tensor in model.outputs] == ["sum", "both_0", "both_1"]
    assert ask(model, '{"x": [[1, 2]], "more_y": [[3, 4]]}') == {
        "sum": [[6, 10]],
        "both_0": [[1, 2]],
        "both_1": [[3, 4]],
    }


def test_a_condition_of_an_exported_program_is_the_clients_to_meet(tmp_path: Path) -> None:
    length = Dim("length", min=2, max=4)
    path = export(tmp_path / "model.pt2", Named(), torch.zeros(1, 3), dynamic=({1: length},))
    model = load(path)
    assert ask(model, "[[2, 2, 2]]")["half"] == [[1, 1, 1]]
    with pytest.raises(BadRequest, match=r"refuses the input: Guard failed"):
        ask(model, "[[1, 2, 3, 4, 5]]")


def test_an_exported_program_of_a_type_no_body_carries_is_refused(tmp_path: Path) -> None:
    path = export(tmp_path / "model.pt2", Named(), torch.zeros(1, 2, dtype=torch.bfloat16))
    with pytest.raises(ModelLoadError, match=r"'x' as bfloat16.*float32"):
        load(path)


def test_a_pickled_module_is_refused_with_the_setting_that_allows_it(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "model.pt")
    with pytest.raises(ModelLoadError, match=r"TorchScript.*SERVING_ALLOW_PICKLE=true"):
        load(tmp_path / "model.pt")


def test_a_pickled_module_loads_if_allowed(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Dropout()), tmp_path / "m.pt")
    model = load(tmp_path / "m.pt", Settings(allow_pickle=True))
    assert ask(model, "[[1, 2, 3, 4]]") == ask(model, "[[1, 2, 3, 4]]")
    assert "predict" in model.foreign
    with pytest.raises(PredictionError, match=r"The model failed: RuntimeError: .*shapes"):
        ask(model, "[[1, 2]]")


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "content", [{"weight": torch.ones(2)}, {"weight": torch.ones(2), "by": Path("x")}]
)
def test_weights_alone_are_refused_without_a_useless_setting(
    tmp_path: Path, content: dict[str, Any], allowed: bool
) -> None:
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(ModelLoadError, match=r"model_fn") as caught:
        load(tmp_path / "model.pth", Settings(allow_pickle=allowed))
    assert "PICKLE" not in str(caught.value)


def test_a_pickle_of_a_class_that_is_not_there_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(Net(), tmp_path / "model.pt")
    monkeypatch.delattr(f"{__name__}.Net")
    with pytest.raises(ModelLoadError, match=r"no PyTorch model that loads.*Net"):
        load(tmp_path / "model.pt", Settings(allow_pickle=True))


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("damage", [cut, lambda _: b"", lambda _: b"hello" * 50])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_damaged_file_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes], allowed: bool
) -> None:
    path = script(tmp_path / "model.pt", Net())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelLoadError, match=r"^model\.pt is no PyTorch model") as caught:
        load(path, Settings(allow_pickle=allowed))
    assert "PICKLE" not in str(caught.value)


def test_torchscript_with_damaged_code_is_refused(tmp_path: Path) -> None:
    whole = script(tmp_path / "whole", Net())
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(tmp_path / "model.pt", "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b"def forward", b"def f0rward"))
    with pytest.raises(ModelLoadError, match=r"^model\.pt does not load: RuntimeError"):
        load(tmp_path / "model.pt")


def test_an_exported_program_with_a_damaged_graph_is_refused(
    tmp_path: Path, exported: Path
) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(exported.read_bytes().replace(b"softmax", b"s0ftmax"))
    with pytest.raises(ModelLoadError, match=r"^model\.pt2 does not load: "):
        load(path)


def test_a_pickle_from_before_archives_is_known_as_one(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(torch.nn.ReLU(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelLoadError, match=r"SERVING_ALLOW_PICKLE"):
        load(path)
    assert ask(load(path, Settings(allow_pickle=True)), "[[-1, 1]]") == [[0, 1]]


def test_scripts_see_tensors(tmp_path: Path) -> None:
    native = load(script(tmp_path / "model.pt", Named())).native
    assert native is not None
    assert isinstance(native.model, torch.jit.ScriptModule)
    payload = native.payload(torch.ones(2, 3, dtype=torch.float64))
    assert payload.rows == 2
    assert payload.data["x"].dtype == np.float64
    assert isinstance(native.argument(payload.data), torch.Tensor)


@pytest.mark.parametrize("module", [Net(), Named(), Pair()])
def test_an_output_fn_gets_what_the_module_answers(tmp_path: Path, module: torch.nn.Module) -> None:
    model = load(script(tmp_path / "model.pt", module))
    assert model.native is not None
    count = 2 if isinstance(module, Pair) else 1
    tensors = [torch.rand(2, 4) for _ in range(count)]
    names = [tensor.name for tensor in model.inputs]
    payload = model.native.payload(dict(zip(names, tensors, strict=True)))
    result = model.native.result(model.predict(payload).outputs)
    torch.testing.assert_close(result, module.eval()(*tensors))


@pytest.mark.parametrize(
    "value", [torch.ones(1, 2, dtype=torch.bfloat16), torch.eye(2).to_sparse()]
)
def test_a_tensor_numpy_cannot_hold_goes_to_the_module_as_it_is(
    tmp_path: Path, value: torch.Tensor
) -> None:
    native = load(script(tmp_path / "model.pt", Named())).native
    assert native is not None
    payload = native.payload(value)
    assert payload.merge_key is None
    assert native.argument(payload.data) is value


def test_what_it_keeps_of_the_gpus_memory_can_be_given_back(tmp_path: Path) -> None:
    path = script(tmp_path / "model.pt", Net())
    for _ in range(2):
        load(path)
    assert footprint.caches.count(torch.cuda.empty_cache) == 1
