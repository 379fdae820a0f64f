"""ONNX models quantised to 8-bit integers."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from serving import engines
from serving.compilation.quantization import Quantised, quantise
from serving.errors import ModelLoadError, SettingError
from tests.compilation import networks
from tests.conftest import MakeSettings
from tests.models import doubling
from tests.support import post


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return networks.rows(tmp_path / "x.npy", 60, networks.FEATURES)


@pytest.fixture
def make(folder: Path, tmp_path: Path, sample: Path, make_settings: MakeSettings) -> Any:
    onnx.save(networks.perceptron(softmax=False), folder / "model.onnx")

    def make(**options: Any) -> Quantised:
        return quantise(folder, tmp_path / "out", make_settings(), **{"sample": sample, **options})

    return make


def kinds(made: Quantised) -> set[str]:
    return {node.op_type for node in onnx.load(made.folder / made.file).graph.node}


def test_weights_become_integers_and_the_cost_is_told(make: Any) -> None:
    made = make()
    assert "MatMulInteger" in kinds(made)
    assert (made.rows, made.source, made.accuracy) == (60, "x.npy", None)
    (shown,) = made.differences
    assert 0 < shown.mean < shown.largest < 2
    assert 0.8 < shown.same <= 1
    assert made.size[1] == (made.folder / made.file).stat().st_size
    assert [speed.what for speed in made.speed] == ["1 row", "32 rows"]


def test_what_was_made_is_served(make: Any, sample: Path, make_settings: MakeSettings) -> None:
    made = make()
    model = engines.load(made.folder, make_settings())
    body = post(sample.read_bytes(), content_type="application/x-npy")
    found = model.predict(model.decode(body)).outputs["y"]
    expected = np.load(sample)  # by the weights as they were
    weights = {each.name: each for each in networks.perceptron().graph.initializer}
    first, bias, second = (
        onnx.numpy_helper.to_array(weights[name]) for name in ("first", "bias", "second")
    )
    expected = np.maximum(expected @ first + bias, 0) @ second
    assert abs(np.abs(found - expected).max() - made.differences[0].largest) < 1e-3


def test_half_of_the_sample_calibrates_and_half_is_compared(make: Any, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("0\n9\n" * 30)  # the second of two is never right
    made = make(static=True, labels=labels)
    assert "QuantizeLinear" in kinds(made)
    assert (made.rows, made.source) == (30, "every other row of x.npy")
    assert made.accuracy == (0.0, 0.0)


def test_accuracy_is_counted_before_and_after(make: Any, tmp_path: Path, sample: Path) -> None:
    labels = tmp_path / "labels.txt"
    weights = [onnx.numpy_helper.to_array(each) for each in networks.perceptron().graph.initializer]
    scores = np.maximum(np.load(sample) @ weights[0] + weights[1], 0) @ weights[2]
    labels.write_text("\n".join(map(str, scores.argmax(axis=1))))
    made = make(labels=labels)
    assert made.accuracy == (1.0, made.differences[0].same)


def test_more_than_the_tolerance_is_refused_and_leaves_nothing_behind(
    make: Any, tmp_path: Path
) -> None:
    with pytest.raises(ModelLoadError, match=r"answers to x\.npy differ by .*--tolerance 1e-06"):
        make(tolerance=1e-6)
    assert not (tmp_path / "out").exists()
    assert make(tolerance=100.0).rows == 60


def test_convolutions_are_quantised_with_ranges_that_are_known(
    make: Any, folder: Path, tmp_path: Path
) -> None:
    onnx.save(networks.convolution(), folder / "model.onnx")
    images = networks.rows(tmp_path / "images.npy", 20, 3, 8, 8)
    with pytest.raises(ModelLoadError, match=r"has nothing that this quantises; .*--static"):
        make(sample=images)
    assert "QuantizeLinear" in kinds(make(sample=images, static=True))


def test_a_model_without_weights_is_refused(make: Any, folder: Path, tmp_path: Path) -> None:
    onnx.save(doubling(), folder / "model.onnx")
    with pytest.raises(ModelLoadError, match="has nothing that this quantises"):
        make(sample=networks.rows(tmp_path / "two.npy", 4, 2))


def test_weights_in_other_files_are_taken_in(make: Any, folder: Path) -> None:
    onnx.save(
        networks.perceptron(),
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    made = make(static=True)
    assert [path.name for path in made.folder.iterdir()] == ["model.onnx"]
    weights = (folder / "weights.bin").stat().st_size
    assert made.size[0] == weights + (folder / "model.onnx").stat().st_size


@pytest.mark.parametrize("network", ["one row", "mean"])
def test_what_cannot_be_halved_is_not_calibrated(
    network: str, make: Any, folder: Path, tmp_path: Path
) -> None:
    count = 1
    if network == "mean":
        onnx.save(networks.mean(), folder / "model.onnx")
        count = 4
    few = networks.rows(tmp_path / "few.npy", count, networks.FEATURES)
    with pytest.raises(SettingError, match=r"--static needs .*rows are independent"):
        make(sample=few, static=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 1", r"labels\.txt has 2 labels; x\.npy has 60 rows"),
        ("0 cat", r"have 'cat'; each line has to be the number of a class"),
        (None, r"cannot be read: .*No such file"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    text: str | None, reason: str, make: Any, tmp_path: Path
) -> None:
    path = tmp_path / "labels.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingError, match=reason):
        make(labels=path)
