"""The inference libraries are tried where XGBoost and ONNX Runtime both can serve."""

import sys
from pathlib import Path

import onnx
import pytest
import xgboost

from serving.compilation import timing
from serving.compilation.conversion import convert_model
from serving.errors import ArchiveError
from serving.recommend.libraries import VARIABLE, Choices, choices, told
from serving.recommend.search import Trial
from tests.conftest import MakeSettings
from tests.models import SCRIPT, doubling, stump

VALUES = ("", "xgboost", "onnx")


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    stump().save_model(folder / "model.json")
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def test_a_package_that_has_both_is_served_as_it_is(
    model: Path, scratch: Path, make_settings: MakeSettings
) -> None:
    both = convert_model(model, model.parent / "both", make_settings(), None).folder
    assert choices(str(both), make_settings(), scratch) == Choices(str(both), VALUES)
    assert not scratch.exists()


def test_a_package_without_a_conversion_gets_one_for_the_trials(
    model: Path, scratch: Path, make_settings: MakeSettings
) -> None:
    found = choices(str(model), make_settings(), scratch)
    assert found == Choices(str(scratch / "compiled"), VALUES, compiled=True)
    names = sorted(path.name for path in Path(found.model).iterdir())
    assert names == ["model.json", "model.json.xgb.onnx"]
    assert [path.name for path in model.iterdir()] == ["model.json"]


def test_a_stale_conversion_is_made_anew(
    model: Path, scratch: Path, make_settings: MakeSettings
) -> None:
    both = convert_model(model, model.parent / "both", make_settings(), None).folder
    booster = stump()
    booster.set_attr(trained="again")
    booster.save_model(both / "model.json")
    assert choices(str(both), make_settings(), scratch).compiled


def test_what_cannot_be_converted_is_served_by_xgboost_and_the_reason_told(
    model: Path, scratch: Path, make_settings: MakeSettings, boosters: dict[str, xgboost.Booster]
) -> None:
    boosters["linear"].save_model(model / "model.json")
    found = choices(str(model), make_settings(), scratch)
    assert (found.model, found.values) == (str(model), ())
    assert "gblinear" in found.reason


def test_without_what_converts_the_reason_names_it(
    model: Path, scratch: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "serving.compilation.boosters", None)
    assert "hybrid-serving[edge,xgboost]" in choices(str(model), make_settings(), scratch).reason


def test_an_engine_that_is_set_stays(
    model: Path, scratch: Path, make_settings: MakeSettings
) -> None:
    found = choices(str(model), make_settings(engine="xgboost"), scratch)
    assert found == Choices(str(model))


def test_a_model_with_a_script_stays_as_it_is(
    model: Path, scratch: Path, make_settings: MakeSettings
) -> None:
    (model / "code").mkdir()
    (model / "code" / "inference.py").write_text(SCRIPT)
    assert choices(str(model), make_settings(), scratch) == Choices(str(model))


def test_other_models_stay_as_they_are(
    tmp_path: Path, scratch: Path, make_settings: MakeSettings
) -> None:
    onnx.save(doubling(), tmp_path / "model.onnx")
    assert choices(str(tmp_path), make_settings(), scratch) == Choices(str(tmp_path))


def test_a_model_that_is_not_there_is_refused(
    tmp_path: Path, scratch: Path, make_settings: MakeSettings
) -> None:
    with pytest.raises(ArchiveError):
        choices(str(tmp_path / "absent"), make_settings(), scratch)


TRIED = [
    Trial(((VARIABLE, ""),), 900.0, whole=True),
    Trial(((VARIABLE, "xgboost"),), 500.0, whole=False),
    Trial(((VARIABLE, "xgboost"),), 1000.0, whole=True),
    Trial(((VARIABLE, "onnx"),), -2.0, whole=False),
]


def test_the_winner_is_told_with_what_the_others_came_to() -> None:
    (sentence,) = told(Choices("m", VALUES), TRIED[2], TRIED, "m")
    assert sentence == (
        "Inference library: XGBoost alone. Tried besides: the faster one for each batch, 900 "
        "predictions/s at best; ONNX Runtime alone, too slow."
    )


def test_the_command_that_converts_is_told_where_the_conversion_pays() -> None:
    made = Choices("/tmp/compiled", VALUES, compiled=True)
    sentence = told(made, TRIED[0], TRIED, "model.tar.gz")[-1]
    assert sentence.endswith(": serving compile model.tar.gz --onnx -o compiled")
    assert told(made, TRIED[2], TRIED, "model.tar.gz")[1:] == ["The model needs no conversion."]


def test_nothing_is_told_where_there_was_no_choice() -> None:
    assert told(Choices("m"), TRIED[0], TRIED, "m") == []
