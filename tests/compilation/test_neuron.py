"""Compiling for NeuronCores, with a stand-in for torch_neuronx: see tests/neuron.py."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from serving import engines
from serving.compilation.neuron import Compiled, compile_model
from serving.engines.neuron_manifest import NAME, read
from serving.errors import ModelLoadError, SettingError
from serving.settings import Settings
from serving.values import Request
from tests import neuron
from tests.models import stump

SETTINGS = Settings(threads=1)

DECODES = """\
import torch

def input_fn(body, content_type):
    return torch.tensor([[float(word) for word in body.split()]])
"""


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layer(x))


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> neuron.Library:
    return neuron.provide(monkeypatch)


@pytest.fixture
def folder(folder: Path) -> Path:
    """A directory of a TorchScript model."""
    neuron.save_scripted(folder / "model.pt", Net())
    return folder


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.json"
    path.write_text("[[1, 2, 3, 4], [5, 6, 7, 8]]")
    return path


def script(folder: Path, text: str) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text(text)


def test_there_is_a_file_for_each_number_of_rows(
    folder: Path, sample: Path, library: neuron.Library
) -> None:
    output = folder.parent / "compiled"
    made = compile_model(folder, output, SETTINGS, sample=sample, sizes=(4, 1))
    assert made == Compiled(output, ("model_b1.pt", "model_b4.pt"), code=False)
    assert sorted(path.name for path in output.iterdir()) == ["model_b1.pt", "model_b4.pt", NAME]
    assert library.traced == [([(1, 4)], {}), ([(4, 4)], {})]
    manifest = read(output / NAME)
    assert manifest.inputs == (("x", "float32", (None, 4)),)
    assert dict(manifest.buckets) == {1: "model_b1.pt", 4: "model_b4.pt"}


def test_a_target_is_compiled_for_without_a_device(
    folder: Path, sample: Path, library: neuron.Library
) -> None:
    compile_model(folder, folder.parent / "out", SETTINGS, sample=sample, sizes=(2,), target="inf2")
    options = {"compiler_args": "--target inf2", "cpu_backend": True}
    assert library.traced == [([(2, 4)], options)]


def test_what_was_made_answers_as_the_model(
    folder: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = folder.parent / "compiled"
    compile_model(folder, output, SETTINGS, sample=sample, sizes=(2,))
    neuron.mark(output / "model_b2.pt")
    neuron.install(monkeypatch)
    model = engines.load(output, SETTINGS)
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    body = json.dumps(rows.tolist()).encode()
    request = Request("POST", "/", {"content-type": "application/json"}, body)
    answer = model.predict(model.decode(request)).outputs["output_0"]
    with torch.inference_mode():
        expected = Net()(torch.from_numpy(rows)).numpy()
    assert model.engine == "neuron"
    assert np.allclose(answer, expected)


def test_what_else_is_in_the_directory_comes_along(folder: Path, sample: Path) -> None:
    script(folder, DECODES)
    (folder / "labels.txt").write_text("a b c")
    sample = sample.with_suffix(".csv")
    sample.write_text("1 2 3 4")
    output = folder.parent / "compiled"
    made = compile_model(folder, output, SETTINGS, sample=sample, sizes=(1,))
    assert made.code
    assert (output / "labels.txt").read_text() == "a b c"
    assert (output / "code" / "inference.py").read_text() == DECODES
    assert not (output / "model.pt").exists()


def test_a_script_that_loads_the_model_itself_is_left_out(folder: Path, sample: Path) -> None:
    script(folder, neuron.LOADS)
    output = folder.parent / "compiled"
    made = compile_model(folder, output, SETTINGS, sample=sample, sizes=(1,))
    assert not made.code
    assert not (output / "code").exists()
    assert read(output / NAME).inputs == (("input", "float32", (None, 4)),)


def test_an_output_that_is_there_is_left_alone(folder: Path, sample: Path) -> None:
    with pytest.raises(SettingError, match=r"model is there already; .*--output"):
        compile_model(folder, folder, SETTINGS, sample=sample, sizes=(1,))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("sample.txt", "1", r"does not end in one of \.csv"),
        ("absent.json", None, "cannot be read: No such file"),
        ("sample.json", "[1, ", "does not fit the model"),
    ],
)
def test_a_sample_that_is_none_is_refused(
    folder: Path, name: str, content: str | None, reason: str
) -> None:
    path = folder.parent / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingError, match=reason):
        compile_model(folder, folder.parent / "out", SETTINGS, sample=path, sizes=(1,))


def test_a_model_that_cannot_be_compiled_leaves_nothing_behind(folder: Path, sample: Path) -> None:
    sample.write_text("[[1, 2, 3]]")
    with pytest.raises(ModelLoadError, match=r"cannot be compiled for 1 rows: RuntimeError"):
        compile_model(folder, folder.parent / "out", SETTINGS, sample=sample, sizes=(1, 8))
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model", "sample.json"]


def test_models_of_other_libraries_are_refused(tmp_path: Path, sample: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stump().save_model(other / "model.json")
    with pytest.raises(ModelLoadError, match=r"has a xgboost model; Neuron runs PyTorch's"):
        compile_model(other, tmp_path / "out", SETTINGS, sample=sample, sizes=(1,))


def test_what_is_compiled_already_is_refused(
    folder: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = folder.parent / "compiled"
    compile_model(folder, output, SETTINGS, sample=sample, sizes=(1,))
    neuron.install(monkeypatch)
    with pytest.raises(ModelLoadError, match=r"is compiled for Neuron already"):
        compile_model(output, folder.parent / "again", SETTINGS, sample=sample, sizes=(1,))


def test_a_script_that_makes_no_tensors_is_refused(folder: Path, sample: Path) -> None:
    script(folder, "def input_fn(body, content_type):\n    return {'words': body}\n")
    with pytest.raises(ModelLoadError, match=r"makes something else of the sample than tensors"):
        compile_model(folder, folder.parent / "out", SETTINGS, sample=sample, sizes=(1,))


def test_without_the_library_it_says_what_is_missing(
    folder: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_neuronx", None)
    with pytest.raises(ModelLoadError, match=r"needs torch_neuronx .*docs/accelerators\.md"):
        compile_model(folder, folder.parent / "out", SETTINGS, sample=sample, sizes=(1,))
