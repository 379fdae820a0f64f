"""ONNX models optimised once."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from serving import engines
from serving.compilation import optimization
from serving.compilation.optimization import LEVELS, optimise
from serving.errors import ModelLoadError, SettingError
from tests.compilation import networks
from tests.conftest import MakeSettings
from tests.models import stump
from tests.support import post


@pytest.fixture
def make(folder: Path, tmp_path: Path, make_settings: MakeSettings) -> Any:
    def make(sample: Path | None = None, level: str = "extended") -> optimization.Optimised:
        output = tmp_path / "out"
        return optimise(folder, output, make_settings(), sample=sample, level=level)

    return make


@pytest.mark.parametrize("level", LEVELS)
def test_operators_are_fused_and_answers_stay(level: str, make: Any, folder: Path) -> None:
    onnx.save(networks.perceptron(), folder / "model.onnx")
    made = make(level=level)
    kinds = [node.op_type for node in onnx.load(made.folder / "model.onnx").graph.node]
    assert ("FusedGemm" in kinds) == (level != "basic")
    assert made.nodes == (4, len(kinds))
    assert made.difference < 1e-5
    assert made.source == "the made-up inputs"
    assert [speed.what for speed in made.speed] == ["loading", "1 row", "32 rows"]


def test_a_sample_is_compared(make: Any, folder: Path, tmp_path: Path) -> None:
    onnx.save(networks.perceptron(), folder / "model.onnx")
    assert make(networks.rows(tmp_path / "x.npy", 5, networks.FEATURES)).source == "x.npy"


@pytest.mark.parametrize("sample", [None, "x.npy"])
def test_rows_that_depend_on_each_other_stay_together(
    sample: str | None, make: Any, folder: Path, tmp_path: Path
) -> None:
    onnx.save(networks.mean(), folder / "model.onnx")
    path = networks.rows(tmp_path / "x.npy", 3, networks.FEATURES)
    made = make(path if sample else None)
    assert [speed.what for speed in made.speed[1:]] == ["3 rows" if sample else "1 row"]


def test_weights_in_other_files_come_along(
    make: Any, folder: Path, make_settings: MakeSettings
) -> None:
    onnx.save(
        networks.perceptron(),
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    made = make()
    request = post(b"[" + b",".join([b"1"] * 16) + b"]", content_type="application/json")
    answered = []
    for place in (folder, made.folder):
        model = engines.load(place, make_settings())
        answered.append(model.predict(model.decode(request)).outputs["y"])
    np.testing.assert_allclose(answered[0], answered[1], rtol=1e-5)


def test_a_script_comes_along_and_reads_the_sample(make: Any, folder: Path, tmp_path: Path) -> None:
    onnx.save(networks.perceptron(), folder / "model.onnx")
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text(
        "import numpy\n"
        "def input_fn(body, content_type):\n"
        "    return numpy.full((1, 16), float(body), numpy.float32)\n"
    )
    sample = tmp_path / "x.csv"
    sample.write_text("2.5")
    assert (make(sample).folder / "code" / "inference.py").is_file()


def test_another_answer_is_refused_and_leaves_nothing_behind(
    make: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(networks.perceptron(), folder / "model.onnx")
    other = networks.perceptron(softmax=False)
    monkeypatch.setattr(
        optimization, "_write", lambda _source, target, _level: onnx.save(other, target)
    )
    with pytest.raises(ModelLoadError, match=r"row \d+ of the made-up inputs is answered y="):
        make()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_other_models_are_refused(make: Any, folder: Path) -> None:
    stump().save_model(folder / "model.json")
    with pytest.raises(ModelLoadError, match=r"xgboost engine \(model\.json\); this takes ONNX"):
        make()


def test_a_sample_of_which_a_script_makes_other_inputs_is_refused(
    make: Any, folder: Path, tmp_path: Path
) -> None:
    onnx.save(networks.perceptron(), folder / "model.onnx")
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text(
        "import numpy\n"
        "def model_fn(model_dir):\n    return sum\n"
        "def input_fn(body, content_type):\n    return {'other': numpy.ones((1, 16))}\n"
        "def predict_fn(data, model):\n    return model(data)\n"
    )
    with pytest.raises(SettingError, match=r"has other; the model takes one or more rows of x"):
        make(networks.rows(tmp_path / "x.npy", 2, networks.FEATURES))


def test_a_sample_of_another_width_is_refused(make: Any, folder: Path, tmp_path: Path) -> None:
    onnx.save(networks.perceptron(), folder / "model.onnx")
    with pytest.raises(SettingError, match="does not fit the model"):
        make(networks.rows(tmp_path / "x.npy", 2, 3))
