"""What goes into a package: the model's files, and the settings; and what is refused."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import xgboost

from serving import configuration
from serving.bundle import bytecode, edge, libraries, trial
from serving.bundle.archive import Part, Size
from serving.errors import ArchiveError, ModelLoadError, SettingError
from tests.models import SCRIPT, doubling, stump

Files = dict[str, bytes]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives the files that a package would have, without the libraries."""
    collected: list[Part] = []

    def write(parts: list[Part], _output: Path, _trial: Path | None) -> list[Size]:
        collected.extend(parts)
        return []

    monkeypatch.setattr(edge, "_write", write)
    monkeypatch.setattr(libraries, "OLDEST_PYTHON", (3, 11))  # whatever runs this
    monkeypatch.setattr(bytecode, "interpreter", lambda _: None)

    def build(model: Path, sample: Path | None = None, **variables: str) -> tuple[Files, Any]:
        settings = configuration.read(variables)
        built = edge.build(model, settings, variables, tmp_path / "edge.zip", sample=sample)
        own = [part for part in collected if part.name in ("model", "serving")]
        files = {
            name: content if isinstance(content, bytes) else content.read_bytes()
            for part in own
            for name, content in part.files.items()
        }
        return files, built

    return build


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder for a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def in_model(files: Files) -> set[str]:
    return {name.removeprefix("model/") for name in files if name.startswith("model/")}


def script(folder: Path, text: str = SCRIPT) -> Path:
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(text)
    return folder / "code"


def test_a_booster_is_converted_and_other_files_stay(build: Any, model: Path) -> None:
    stump().save_model(model / "model.json")
    (model / "notes.txt").write_text("kept")
    (model / "__pycache__").mkdir()
    (model / "__pycache__" / "a.pyc").write_text("left out")
    files, built = build(model)
    assert in_model(files) == {"model.json.xgb.onnx", "notes.txt"}
    assert onnx.load_model_from_string(files["model/model.json.xgb.onnx"])
    (told,) = built.parity
    assert told.startswith("model.json: 2000 of 2000 answers to the made-up rows are the same")


def test_only_the_first_is_converted_where_it_answers_alone(build: Any, model: Path) -> None:
    for name in ("a.ubj", "b.ubj"):
        stump().save_model(model / name)
    files, _ = build(model, SAGEMAKER_INFERENCE_ENSEMBLE="false")
    assert in_model(files) == {"a.ubj.xgb.onnx"}


def test_a_sample_is_compared_besides(build: Any, model: Path, tmp_path: Path) -> None:
    stump().save_model(model / "model.json")
    sample = tmp_path / "rows.csv"
    sample.write_text("0,5\n2,5\n")
    _, built = build(model, sample)
    assert "2 of 2 answers to rows.csv" in built.parity[1]


@pytest.mark.parametrize(
    ("name", "reason"), [("rows.txt", "does not end in"), ("none.csv", "No such file")]
)
def test_a_sample_that_cannot_be_read_is_named(
    name: str, reason: str, build: Any, model: Path, tmp_path: Path
) -> None:
    stump().save_model(model / "model.json")
    with pytest.raises(SettingError, match=f"{name} .*{reason}"):
        build(model, tmp_path / name)


def test_a_sample_for_what_is_not_converted_is_refused(build: Any, model: Path) -> None:
    onnx.save(doubling(), model / "model.onnx")
    with pytest.raises(SettingError, match="--sample is for XGBoost models"):
        build(model, Path("rows.csv"))


def test_where_the_answers_differ_there_is_no_package(
    build: Any, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = xgboost.Booster(model_file=bytearray(stump().save_raw("ubj")))
    learner = json.loads(bytes(other.save_raw("json")))
    tree = learner["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["split_conditions"][1] += 0.5
    other.load_model(bytearray(json.dumps(learner).encode()))
    from serving.compilation import boosters

    wrong = boosters.to_onnx(other)
    monkeypatch.setattr(boosters, "to_onnx", lambda _: wrong)
    stump().save_model(model / "model.json")
    with pytest.raises(ModelLoadError, match=r"row \d+ of the made-up rows is answered \[1\.5\]"):
        build(model)


def test_an_onnx_model_goes_as_it_is_with_its_script(build: Any, model: Path) -> None:
    onnx.save(doubling(), model / "model.onnx")
    code = script(model, "def output_fn(prediction, accept): return b''\n")
    (code / "requirements.txt").write_text("numpy>=2  # there\n\nonnxruntime\n")
    files, built = build(model)
    assert in_model(files) == {"model.onnx", "code/inference.py"}
    assert files["model/model.onnx"] == (model / "model.onnx").read_bytes()
    assert built.parity == []


def test_a_script_from_elsewhere_goes_with_the_model(
    build: Any, model: Path, tmp_path: Path
) -> None:
    (model / "factor").write_text("3")
    code = script(tmp_path / "elsewhere")
    files, built = build(model, SAGEMAKER_SUBMIT_DIRECTORY=str(code))
    assert in_model(files) == {"factor", "code/inference.py"}
    assert built.variables == {}


def test_requirements_that_a_package_does_not_have_are_refused(build: Any, model: Path) -> None:
    code = script(model)
    (code / "requirements.txt").write_text("numpy\nscipy==1.0\n./a.whl\n")
    with pytest.raises(
        ModelLoadError, match=r"asks for \./a\.whl, scipy==1\.0; .* has numpy, onnx"
    ):
        build(model)


def test_an_xgboost_model_with_a_script_is_refused(build: Any, model: Path) -> None:
    stump().save_model(model / "model.json")
    script(model)
    with pytest.raises(ModelLoadError, match=r"inference\.py goes with an XGBoost model"):
        build(model)


def test_torch_models_are_refused(build: Any, model: Path) -> None:
    (model / "model.pt").write_bytes(b"")
    with pytest.raises(ModelLoadError, match="the torch engine cannot be served at the edge"):
        build(model)


def test_an_empty_folder_is_refused(build: Any, model: Path) -> None:
    with pytest.raises(ModelLoadError, match="has no model this server knows"):
        build(model)


def test_the_settings_go_with_it(build: Any, model: Path, tmp_path: Path) -> None:
    onnx.save(doubling(), model / "model.onnx")
    keys = tmp_path / "secrets.toml"
    keys.write_text("# keys")
    given = {
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
        "SERVING_KEYS": str(keys),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "4",
        "SERVING_CACHE": str(tmp_path),
        "HOME": "/root",
    }
    files, built = build(model, **given)
    expected = {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv", "SERVING_KEYS": "keys.toml"}
    assert json.loads(files["settings.json"]) == expected == built.variables
    assert files["keys.toml"] == b"# keys"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_MULTI_MODEL", "true"),
        ("SERVING_REPOSITORY", "/models"),
        ("SAGEMAKER_ENABLE_STATEFUL_SESSIONS", "true"),
        ("SERVING_ASYNC_OUTPUT", "/answers"),
        ("SERVING_EMF_NAMESPACE", "a"),
    ],
)
def test_what_cannot_be_had_at_the_edge_is_refused(
    name: str, value: str, build: Any, model: Path
) -> None:
    onnx.save(doubling(), model / "model.onnx")
    with pytest.raises(SettingError, match=f"{name} is of no use at the edge: "):
        build(model, **{name: value})


@pytest.mark.parametrize("python", ["3", "313", "3.13.1", "2.7", "python3.13"])
def test_a_version_that_is_none_is_refused(python: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"takes a version such as 3\.13"):
        edge.build(model, configuration.read({}), {}, tmp_path / "edge.zip", python=python)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match=r"edge\.zip cannot be written"):
        edge.forward("https://models.example.com", tmp_path / "file" / "edge.zip")


def test_a_package_that_does_not_start_says_why(tmp_path: Path) -> None:
    from serving.bundle.archive import write

    program = b"raise OSError('no such thing')"
    write([Part("broken", {"lambda_function.py": program})], tmp_path / "edge.zip")
    with pytest.raises(ArchiveError, match="does not start: OSError: no such thing"):
        trial.run(tmp_path / "edge.zip", tmp_path / "folder")
