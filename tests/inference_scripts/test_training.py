"""What the training scripts of the examples write and print."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import xgboost
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

SCRIPTS = Path(__file__).parents[2] / "inference_scripts"
FILES = {
    "xgboost_tabular": {"xgboost-model"},
    "sklearn_onnx": {"model.onnx"},
    "pytorch_digits": {"model.pt2", "code/inference.py"},
}
SAMPLES = ["request.csv", "request.json", "request.pgm"]

ModelDir = Callable[[str], Path]
Train = Callable[[str, Path], str]


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def sample_rows(example: str) -> NDArray[np.float64]:
    return np.loadtxt(SCRIPTS / example / "request.csv", delimiter=",")


def find(table: NDArray[np.float64], rows: NDArray[np.float64]) -> list[int]:
    """Where in the table each row stands."""
    return [int(np.flatnonzero((table == row).all(axis=1)).item()) for row in rows]


@pytest.mark.parametrize("example", FILES)
def test_training_makes_a_good_model_and_the_same_one_every_time(
    example: str, train: Train, model_dir: ModelDir, tmp_path: Path
) -> None:
    output = train(example, tmp_path)
    assert files(tmp_path) == files(model_dir(example))
    assert files(tmp_path).keys() == FILES[example]
    score = re.search(r"Held out \d+ \w+: accuracy (\d\.\d+)", output)
    assert score is not None
    assert float(score[1]) > 0.95
    assert "\r" not in output


@pytest.mark.parametrize("example", FILES)
def test_an_example_says_how_to_use_it(example: str) -> None:
    folder = SCRIPTS / example
    readme = (folder / "README.md").read_text()
    samples = {path.name for path in folder.glob("request.*")}
    for name in {"train.py", "requirements.txt"} | samples:
        assert (folder / name).is_file()
        assert name in readme
    assert len(samples) == 2


@pytest.mark.parametrize(
    ("example", "line"), [("xgboost_tabular", "Round 1 of"), ("pytorch_digits", "Epoch 1 of")]
)
def test_training_shows_its_progress_at_a_terminal(example: str, line: str, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / example / "train.py"), str(tmp_path)]
    outside, inside = pty.openpty()
    with subprocess.Popen(command, stdout=inside, stderr=inside) as process:
        os.close(inside)
        seen = b""
        while not seen.endswith(b".\r\n") or b"Wrote" not in seen:
            seen += os.read(outside, 4096)
        assert process.wait() == 0
    os.close(outside)
    assert line in seen.decode()


def test_the_xgboost_model_holds_the_trees_of_its_best_round_and_no_more(
    model_dir: ModelDir,
) -> None:
    content = (model_dir("xgboost_tabular") / "xgboost-model").read_bytes()
    booster = xgboost.Booster()
    booster.load_model(bytearray(content))
    assert booster.num_features() == 30
    assert booster.num_boosted_rounds() == booster.best_iteration + 1 < 100


def test_the_onnx_model_names_its_input_and_outputs(model_dir: ModelDir) -> None:
    session = onnxruntime.InferenceSession(model_dir("sklearn_onnx") / "model.onnx")
    (given,), outputs = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("features", "tensor(float)", [None, 13])
    assert [(output.name, output.shape) for output in outputs] == [
        ("label", [None]),
        ("probabilities", [None, 3]),
    ]


@pytest.mark.parametrize("rows", [1, 2, 65])
def test_the_digits_model_takes_any_number_of_images(rows: int, model_dir: ModelDir) -> None:
    network = torch.export.load(model_dir("pytorch_digits") / "model.pt2").module()
    images = torch.tensor(load_digits().images[:rows], dtype=torch.float32)
    with torch.inference_mode():
        assert network(images).shape == (rows, 10)


@pytest.mark.parametrize("example", ["xgboost_tabular", "sklearn_onnx"])
def test_the_sample_requests_hold_the_same_rows(example: str) -> None:
    request = json.loads((SCRIPTS / example / "request.json").read_text())
    assert request == {"instances": sample_rows(example).tolist()}


def test_the_sample_requests_come_from_the_data_sets() -> None:
    tumours, wines = load_breast_cancer(), load_wine()
    found = find(tumours.data, sample_rows("xgboost_tabular"))
    assert tumours.target_names[tumours.target[found]].tolist() == ["malignant", "benign", "benign"]
    assert wines.target[find(wines.data, sample_rows("sklearn_onnx"))].tolist() == [2, 0, 1]


def test_the_sample_images_are_the_same_seven() -> None:
    folder, digits = SCRIPTS / "pytorch_digits", load_digits()
    pixels = json.loads((folder / "request.json").read_text())["pixels"]
    graymap = (folder / "request.pgm").read_text().replace("# a handwritten 7", "").split()
    assert graymap[:4] == ["P2", "8", "8", "16"]
    assert graymap[4:] == [str(pixel) for row in pixels for pixel in row]
    (found,) = find(digits.data, np.array([pixels], dtype=float).reshape(1, 64))
    assert digits.target[found] == 7
