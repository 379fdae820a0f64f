"""Model directories of XGBoost models made into ones for ONNX Runtime."""

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import xgboost
from numpy.typing import NDArray

from serving import engines
from serving.compilation.boosters import to_onnx
from serving.compilation.conversion import convert_model
from serving.engines import converted
from serving.engines.conversion_manifest import MOST_ROWS
from serving.errors import ModelLoadError, SettingError
from serving.values import Response
from tests.conftest import MakeSettings
from tests.models import SCRIPT, doubling, stump
from tests.support import post


def test_what_was_made_answers_as_the_model(
    folder: Path,
    tmp_path: Path,
    make_settings: MakeSettings,
    boosters: dict[str, xgboost.Booster],
    table: NDArray[np.float32],
) -> None:
    settings = make_settings()
    (folder / "xgboost-model").write_bytes(boosters["softprob"].save_raw("ubj"))
    made = convert_model(folder, tmp_path / "out", settings, None)
    assert made.files == ["xgboost-model.xgb.onnx"]
    text = io.StringIO()
    np.savetxt(text, np.nan_to_num(table), delimiter=",")
    request = post(text.getvalue().encode(), content_type="text/csv")

    def answer(place: Path) -> Response:
        model = engines.load(place, settings)
        return model.encode(model.predict(model.decode(request)), "text/csv", request)

    assert answer(made.folder).body == answer(folder).body


def test_each_size_is_timed(folder: Path, tmp_path: Path, make_settings: MakeSettings) -> None:
    stump().save_model(folder / "model.json")
    made = convert_model(folder, tmp_path / "out", make_settings(), None)
    assert [speed.what for speed in made.speed] == ["1 row", "32 rows", "1,024 rows"]
    assert all(speed.before > 0 and speed.after > 0 for speed in made.speed)


def test_what_else_is_in_the_directory_comes_along(
    folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    stump().save_model(folder / "model.json")
    (folder / "code").mkdir()
    (folder / "code" / "requirements.txt").write_text("numpy\n")
    made = convert_model(folder, tmp_path / "out", make_settings(), None)
    names = sorted(path.name for path in made.folder.iterdir())
    assert names == ["code", "model.json", "model.json.xgb.onnx"]
    assert (made.folder / "code" / "requirements.txt").read_text() == "numpy\n"


@pytest.mark.parametrize(
    ("together", "files"),
    [(True, ["a.ubj.xgb.onnx", "b.ubj.xgb.onnx"]), (False, ["a.ubj.xgb.onnx"])],
)
def test_the_boosters_that_answer_are_converted(
    together: bool, files: list[str], folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    for name in ("a.ubj", "b.ubj"):
        stump().save_model(folder / name)
    made = convert_model(folder, tmp_path / "out", make_settings(ensemble=together), None)
    assert made.files == files
    boosters = [name.removesuffix(".xgb.onnx") for name in files]
    assert sorted(path.name for path in made.folder.iterdir()) == sorted([*files, *boosters])


def test_a_sample_is_compared_besides(
    folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    stump().save_model(folder / "model.json")
    (tmp_path / "rows.csv").write_text("0,5\n2,5\n")
    made = convert_model(folder, tmp_path / "out", make_settings(), tmp_path / "rows.csv")
    assert [told.partition(" are")[0] for told in made.parity] == [
        "model.json: 2000 of 2000 answers to the made-up rows",
        "model.json: 2 of 2 answers to rows.csv",
    ]


def test_a_sample_of_another_width_is_refused(
    folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    stump().save_model(folder / "model.json")
    (tmp_path / "rows.csv").write_text("0,5,6\n")
    with pytest.raises(SettingError, match=r"does not fit the model: .* takes 2 features"):
        convert_model(folder, tmp_path / "out", make_settings(), tmp_path / "rows.csv")


def test_another_answer_is_refused_with_its_row_and_leaves_nothing_behind(
    folder: Path,
    tmp_path: Path,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stump().save_model(folder / "model.json")
    other = xgboost.Booster(model_file=bytearray(stump().save_raw("ubj")))
    other.set_param({"base_score": 2})
    content = to_onnx(other)
    monkeypatch.setattr("serving.compilation.boosters.to_onnx", lambda _: content)
    with pytest.raises(ModelLoadError, match=r"row \d+ of the made-up rows is answered"):
        convert_model(folder, tmp_path / "out", make_settings(), None)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_script_is_refused(folder: Path, tmp_path: Path, make_settings: MakeSettings) -> None:
    stump().save_model(folder / "model.json")
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text(SCRIPT)
    with pytest.raises(ModelLoadError, match=r"inference\.py goes with the model"):
        convert_model(folder, tmp_path / "out", make_settings(), None)


def test_other_models_are_refused(
    folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    onnx.save(doubling(), folder / "model.onnx")
    with pytest.raises(ModelLoadError, match=r"onnx engine \(model\.onnx\); --onnx converts"):
        convert_model(folder, tmp_path / "out", make_settings(), None)


def test_a_conversion_says_of_which_booster_it_is_and_how_near_it_came(
    folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    stump().save_model(folder / "model.json")
    (tmp_path / "rows.csv").write_text("0,5\n2,5\n")
    made = convert_model(folder, tmp_path / "out", make_settings(), tmp_path / "rows.csv")
    file = made.folder / "model.json.xgb.onnx"
    manifest = converted.read(file, make_settings()).manifest
    assert manifest is not None
    sha256 = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    assert manifest[:-1] == ("model.json", sha256, (1e-6, 1e-5), 0.0)
    assert manifest.rows[:2].tolist() == [[0, 5], [2, 5]]
    assert manifest.rows.shape == (2 + MOST_ROWS // 2, 2)


def test_what_a_server_would_use_is_told(
    folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    stump().save_model(folder / "model.json")
    made = convert_model(folder, tmp_path / "out", make_settings(), None)
    assert re.fullmatch("(ONNX Runtime|XGBoost) for .+", made.libraries)


def test_a_stale_conversion_is_made_anew(
    folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    stump().save_model(folder / "model.json")
    made = convert_model(folder, tmp_path / "out", make_settings(), None)
    booster = stump()
    booster.set_attr(trained="again")
    booster.save_model(made.folder / "model.json")
    again = convert_model(made.folder, tmp_path / "again", make_settings(), None)
    assert again.files == made.files
    assert engines.load(again.folder, make_settings(engine="onnx")).native is None


def test_what_has_no_booster_is_refused(
    folder: Path, tmp_path: Path, make_settings: MakeSettings
) -> None:
    stump().save_model(folder / "model.json")
    made = convert_model(folder, tmp_path / "out", make_settings(), None)
    (made.folder / "model.json").unlink()
    with pytest.raises(ModelLoadError, match=r"model\.json\.xgb\.onnx"):
        convert_model(made.folder, tmp_path / "again", make_settings(), None)
