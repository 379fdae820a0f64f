"""Models that torch_neuronx has compiled, with a stand-in for it: see tests/neuron.py."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from serving import engines
from serving.engines import neuron as engine
from serving.engines import neuron_manifest
from serving.engines.neuron_manifest import Manifest
from serving.errors import BadRequest, DecodeError, ModelLoadError, PredictionError
from serving.model import Model, Tensor
from serving.settings import Settings
from serving.values import Request
from tests import neuron

ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> neuron.Library:
    return neuron.install(monkeypatch)


def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def centre(x: torch.Tensor) -> torch.Tensor:
    return x - x.mean(dim=0)


def pair(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return a + b, a * b


def compiled(folder: Path, sizes: tuple[int, ...], func: Any = double, *, manifest: bool) -> Path:
    """A directory of files for so many rows of four columns."""
    folder.mkdir(exist_ok=True)
    for size in sizes:
        neuron.save(folder / f"model_b{size}.pt", func, torch.zeros(size, 4))
    if manifest:
        buckets = {size: f"model_b{size}.pt" for size in sizes}
        neuron_manifest.write(Manifest((Tensor("x", "float32", (None, 4)),), buckets), folder)
    return folder


def load(folder: Path, settings: Settings = Settings(threads=1)) -> Model:  # noqa: B008
    return engines.load(folder, settings)


def ask(model: Model, body: Any, content_type: str = "application/json") -> Any:
    request = Request(
        "POST", "/invocations", {"content-type": content_type}, json.dumps(body).encode()
    )
    answer = model.encode(model.predict(model.decode(request)), "application/json", request)
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


def test_a_file_is_known_by_the_type_of_its_program(tmp_path: Path) -> None:
    assert engine.traced(neuron.save(tmp_path / "a.pt", double, torch.zeros(1, 4)))
    neuron.save_plain(tmp_path / "plain.pt", double, torch.zeros(1, 4))
    torch.save({"why": "__torch__.torch.classes.neuron.Model"}, tmp_path / "weights.pt")
    (tmp_path / "text.pt").write_text("__torch__.torch.classes.neuron.Model")
    assert not any(engine.traced(tmp_path / f"{name}.pt") for name in ("plain", "weights", "text"))


def test_one_whose_code_is_damaged_is_not(tmp_path: Path) -> None:
    path = neuron.save(tmp_path / "model.pt", double, torch.zeros(1, 4))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"classes.neuron", b"classes.neur0n"))
    assert not engine.traced(path)


def test_it_is_this_engines_and_not_torchs(tmp_path: Path) -> None:
    path = neuron.save(tmp_path / "model.pt", double, torch.zeros(1, 4))
    found, files = engines.recognise(tmp_path, Settings())
    assert (found.name, files) == ("neuron", [path])
    with pytest.raises(ModelLoadError, match=r"no model this server knows"):
        engines.recognise(tmp_path, Settings(engine="torch"))


def test_a_directory_may_hold_torchs_beside_it_if_a_setting_says_which(tmp_path: Path) -> None:
    neuron.save(tmp_path / "fast.pt", double, torch.zeros(1, 4))
    neuron.save_plain(tmp_path / "plain.pt", double, torch.zeros(1, 4))
    with pytest.raises(ModelLoadError, match=r"torch: plain\.pt; neuron: fast\.pt"):
        engines.recognise(tmp_path, Settings())
    assert engines.recognise(tmp_path, Settings(engine="neuron"))[1] == [tmp_path / "fast.pt"]


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_any_number_of_rows_is_answered(tmp_path: Path, manifest: bool, count: int) -> None:
    model = load(compiled(tmp_path / "model", (1, 4), manifest=manifest))
    assert model.engine == "neuron"
    assert model.devices == ("neuron",)
    assert ask(model, ROWS[:count].tolist()) == (ROWS[:count] * 2).tolist()


def test_with_a_manifest_types_and_shapes_are_known(tmp_path: Path) -> None:
    model = load(compiled(tmp_path / "model", (2,), manifest=True))
    assert model.inputs == (("x", "float32", (None, 4)),)
    assert model.outputs == (("output_0", "float32", (None,)),)
    assert model.sample["x"].shape == (1, 4)
    assert model.merge_key is not None
    with pytest.raises(DecodeError, match=r"'x' takes float32 of shape \(rows, 4\)"):
        ask(model, [[1, 2, 3]])


def test_without_one_rows_are_stacked_once_they_proved_independent(tmp_path: Path) -> None:
    model = load(compiled(tmp_path / "model", (1, 4), manifest=False))
    request = Request("POST", "/", {"content-type": "application/json"}, b"[[1, 2, 3, 4]]")
    assert model.decode(request).merge_key is None
    model.predict(model.decode(request))
    assert model.decode(request).merge_key is not None


def test_rows_that_affect_each_other_are_not_filled_up(tmp_path: Path) -> None:
    model = load(compiled(tmp_path / "model", (2, 4), centre, manifest=True))
    assert model.merge_key is None
    assert ask(model, [[1, 1, 1, 1], [3, 3, 3, 3]]) == [[-1] * 4, [1] * 4]
    with pytest.raises(BadRequest, match=r"takes 2 or 4 rows at once.*the body has 3"):
        ask(model, ROWS[:3].tolist())


def test_several_inputs_and_outputs_have_names(tmp_path: Path) -> None:
    for size in (1, 2):
        zeros = torch.zeros(size, 2)
        neuron.save(tmp_path / f"model_b{size}.pt", pair, zeros, zeros)
    inputs = Tensor("a", "float32", (None, 2)), Tensor("b", "float32", (None, 2))
    neuron_manifest.write(Manifest(inputs, {1: "model_b1.pt", 2: "model_b2.pt"}), tmp_path)
    body = {"a": [[1, 2]] * 3, "b": [[3, 4]] * 3}
    assert ask(load(tmp_path), body) == {"output_0": [[4, 6]] * 3, "output_1": [[3, 8]] * 3}


def test_a_single_file_of_another_name_gets_bodies_as_they_are(tmp_path: Path) -> None:
    neuron.save(tmp_path / "model.pt", double, torch.zeros(2, 4))
    model = load(tmp_path)
    assert ask(model, ROWS[:2].tolist()) == (ROWS[:2] * 2).tolist()
    with pytest.raises(PredictionError, match=r"the shape is not that of the program"):
        ask(model, ROWS[:1].tolist())


@pytest.mark.parametrize("names", [("a.pt", "b.pt"), ("a_b1.pt", "a_b1.pth"), ("a_b0.pt", "b.pt")])
def test_several_files_have_to_say_how_many_rows_they_take(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        neuron.save(tmp_path / name, double, torch.zeros(1, 4))
    with pytest.raises(ModelLoadError, match=rf"{names[0]}, {names[1]}; name each after the rows"):
        load(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = compiled(tmp_path / "model", (1, 8), manifest=True)
    content = (folder / "model_b8.pt").read_bytes()
    (folder / "model_b8.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelLoadError, match=r"^model_b8\.pt does not load: "):
        load(folder)


def test_without_the_library_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neuron.save(tmp_path / "model.pt", double, torch.zeros(1, 4))
    monkeypatch.setitem(sys.modules, "torch_neuronx", None)
    with pytest.raises(
        ModelLoadError, match=r"^model\.pt needs torch_neuronx \(.*accelerators\.md"
    ):
        load(tmp_path)


@pytest.mark.parametrize("manifest", [True, False])
def test_scripts_see_tensors(tmp_path: Path, manifest: bool) -> None:
    folder = compiled(tmp_path / "model", (1, 4), manifest=manifest)
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text(
        "import torch\n"
        "def input_fn(body, content_type):\n"
        "    return torch.tensor([[float(body)] * 4] * 3)\n"
        "def output_fn(prediction, accept):\n"
        "    return str(tuple(prediction.shape)) + str(float(prediction.sum()))\n"
    )
    model = load(folder)
    request = Request("POST", "/", {"content-type": "text/csv"}, b"1.5")
    answer = model.encode(model.predict(model.decode(request)), "text/csv", request)
    assert answer.body == b"(3, 4)36.0"
