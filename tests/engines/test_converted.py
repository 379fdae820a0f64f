"""Boosters in ONNX's format answer as boosters do, in every media type and selection."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import xgboost
from numpy.typing import NDArray

from serving import engines
from serving.compilation.boosters import to_onnx
from serving.engines.base import CONVERTED
from serving.engines.xgboost import WRITES
from serving.errors import ModelLoadError
from serving.model import Model
from tests.conftest import MakeSettings
from tests.models import doubling
from tests.support import post

KINDS = ("squarederror", "logistic", "softprob", "softmax", "stopped")


def answers(model: Model, table: NDArray[np.float32]) -> list[tuple[str, bytes]]:
    """What a model answers to some rows, in each type that it writes."""
    body = "\n".join(",".join(map(str, row)) for row in table[:20].tolist()).encode()
    request = post(body, content_type="text/csv")
    prediction = model.predict(model.decode(request))
    made = [model.encode(prediction, accept, request) for accept in model.writes]
    return [(each.content_type, bytes(each.body)) for each in made]  # type: ignore[arg-type]


@pytest.fixture
def both(tmp_path: Path, make_settings: MakeSettings) -> Any:
    """Loads some boosters as they are, and converted."""

    def both(*boosters: xgboost.Booster, **given: Any) -> tuple[Model, Model]:
        plain, converted = tmp_path / "plain", tmp_path / "converted"
        for folder in (plain, converted):
            folder.mkdir()
        for number, booster in enumerate(boosters):
            (plain / f"{number}.ubj").write_bytes(booster.save_raw("ubj"))
            (converted / f"{number}.ubj{CONVERTED}").write_bytes(to_onnx(booster))
        settings = make_settings(**given)
        return engines.load(plain, settings), engines.load(converted, settings)

    return both


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keys", ["", "predicted_label,probabilities,raw_score,predicted_score"])
def test_it_answers_byte_for_byte_as_the_booster(
    kind: str,
    keys: str,
    both: Any,
    boosters: dict[str, xgboost.Booster],
    table: NDArray[np.float32],
) -> None:
    plain, converted = both(boosters[kind], inference_output=keys)
    assert answers(converted, table) == answers(plain, table)
    facts = ("engine", "reads", "writes", "inputs", "outputs", "merge_key")
    assert [getattr(converted, fact) for fact in facts] == [getattr(plain, fact) for fact in facts]
    assert set(plain.writes) <= set(WRITES)


@pytest.mark.parametrize("kind", ["squarederror", "softmax"])
def test_several_answer_together(
    kind: str, both: Any, boosters: dict[str, xgboost.Booster], table: NDArray[np.float32]
) -> None:
    booster = boosters[kind]
    plain, converted = both(booster, booster[:4], booster[:2])
    assert answers(converted, table) == answers(plain, table)


def test_an_onnx_model_of_another_kind_is_refused(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    onnx.save(doubling(), tmp_path / f"model{CONVERTED}")
    with pytest.raises(ModelLoadError, match="was not made of an XGBoost model"):
        engines.load(tmp_path, make_settings())


def test_trees_take_nothing_of_a_gpu(
    tmp_path: Path,
    make_settings: MakeSettings,
    boosters: dict[str, xgboost.Booster],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / f"model{CONVERTED}").write_bytes(to_onnx(boosters["logistic"]))
    asked: list[Any] = []
    real = onnxruntime.InferenceSession

    def session(path: Path, options: Any, providers: Any) -> Any:
        asked.extend(providers)
        return real(path, options, ["CPUExecutionProvider"])

    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    assert engines.load(tmp_path, make_settings()).devices == ("cpu",)
    assert [name for name, _ in asked] == ["CPUExecutionProvider"]


def test_a_script_cannot_work_with_it(
    tmp_path: Path, make_settings: MakeSettings, boosters: dict[str, xgboost.Booster]
) -> None:
    (tmp_path / f"model{CONVERTED}").write_bytes(to_onnx(boosters["logistic"]))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("def predict_fn(data, model): return data\n")
    with pytest.raises(ModelLoadError, match="cannot be combined"):
        engines.load(tmp_path, make_settings())
