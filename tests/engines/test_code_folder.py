"""A script that lies elsewhere than in the model: SAGEMAKER_SUBMIT_DIRECTORY."""

import sys
from pathlib import Path

import pytest

from serving import configuration, engines
from serving.errors import ModelLoadError
from serving.values import Request

SCRIPT = """\
from beside import answer

def model_fn(model_dir):
    return model_dir

def transform_fn(model, input_data, content_type, accept):
    return answer(model)
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script's folder, outside of any model."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "inference.py").write_text(SCRIPT)
    (folder / "beside.py").write_text("def answer(model):\n    return f'served {model}'\n")
    return folder


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_it_is_loaded_with_the_modules_beside_it(tmp_path: Path, code: Path, scheme: str) -> None:
    model_dir = tmp_path / "model"
    model_dir.mkdir()
    environment = {"SAGEMAKER_SUBMIT_DIRECTORY": f"{scheme}{code}"}
    model = engines.load(model_dir, configuration.read(environment, workers=1))
    request = Request("POST", "/invocations", {}, b"")
    outputs = model.predict(model.decode(request)).outputs
    assert outputs.body == f"served {model_dir}".encode()


def test_a_program_that_is_not_there_is_named_with_its_folder(code: Path, tmp_path: Path) -> None:
    environment = {"SAGEMAKER_SUBMIT_DIRECTORY": str(code), "SAGEMAKER_PROGRAM": "other.py"}
    with pytest.raises(ModelLoadError, match=rf"There is no elsewhere/other\.py in {tmp_path},"):
        engines.load(tmp_path, configuration.read(environment, workers=1))
