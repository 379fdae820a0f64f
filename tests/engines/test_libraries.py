"""A booster with its conversion beside it: whichever library predicts, the answers are the same."""

import importlib
import json
import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import xgboost
from numpy.typing import NDArray

from serving import engines
from serving.compilation import timing
from serving.compilation.conversion import convert_model
from serving.engines import conversion_manifest, faster, libraries
from serving.engines.base import CONVERTED, LIBXGBOOST
from serving.engines.libraries import ALONE
from serving.errors import ModelLoadError
from serving.model import Model
from serving.values import Payload
from tests.conftest import MakeSettings
from tests.models import stump
from tests.support import post

KEYS = "predicted_label,probabilities,raw_score,predicted_score"
KINDS = ("squarederror", "logistic", "softprob", "softmax", "stopped")
SIZES = (1, 2, 3, 33, 100)

Boosters = dict[str, xgboost.Booster]
Package = Callable[..., Path]


@pytest.fixture
def package(
    tmp_path: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> Package:
    """Compiles some boosters; gives the directory with both files of each."""
    monkeypatch.setattr(timing, "SECONDS", 0.0)

    def package(*boosters: xgboost.Booster) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        for number, booster in enumerate(boosters):
            booster.save_model(folder / f"{number}.ubj")
        return convert_model(folder, tmp_path / "both", make_settings(), None).folder

    return package


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was measured goes to ONNX Runtime, and there is time to measure it."""
    monkeypatch.setattr(faster, "CLEARLY", np.inf)
    monkeypatch.setattr(faster, "BUDGET_SECONDS", 60.0)


def answers(model: Model, table: NDArray[np.float32], size: int) -> list[bytes]:
    """What a model answers to so many rows, in each type that it writes."""
    body = "\n".join(",".join(map(str, row)) for row in table[:size].tolist()).encode()
    request = post(body, content_type="text/csv")
    prediction = model.predict(model.decode(request))
    made = [model.encode(prediction, accept, request) for accept in model.writes]
    return [bytes(each.body) for each in made]  # type: ignore[arg-type]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def train_again(path: Path) -> None:
    """Put another booster in the place of one."""
    booster = stump()
    booster.set_attr(trained="again")
    booster.save_model(path)


def alter(path: Path, **manifest: Any) -> None:
    """Change what a conversion says of itself."""
    model = onnx.load(path)
    (entry,) = [each for each in model.metadata_props if each.key == conversion_manifest.KEY]
    entry.value = json.dumps(json.loads(entry.value) | manifest)
    onnx.save(model, path)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keys", ["", KEYS])
def test_batches_of_all_sizes_are_answered_byte_for_byte_as_by_the_booster(
    kind: str,
    keys: str,
    package: Package,
    boosters: Boosters,
    table: NDArray[np.float32],
    make_settings: MakeSettings,
) -> None:
    both = package(boosters[kind])
    given = {"inference_output": keys, "max_batch_rows": 64, "batch": True}
    plain = engines.load(both, make_settings(engine="xgboost", **given))
    measured = engines.load(both, make_settings(**given))
    assert measured.libraries == "ONNX Runtime for 1 to 64 rows, XGBoost for others"
    assert plain.libraries == ""
    for size in SIZES:
        assert answers(measured, table, size) == answers(plain, table, size)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b"1,,3,nan,5"),
        ("text/libsvm", b"0 0:1 4:5\n1 2:3\n"),
        ("application/json", b'{"instances": [[1, null, 3, 4, 5]]}'),
        ("application/jsonlines", b"[1, 2, 3, null, 5]\n[0, 0, 0, 0, 0]\n"),
    ],
)
def test_missing_values_are_missing_to_both(
    content_type: str,
    body: bytes,
    package: Package,
    boosters: Boosters,
    make_settings: MakeSettings,
) -> None:
    both = package(boosters["logistic"])
    found = []
    for engine in ("xgboost", "onnx", ""):
        model = engines.load(both, make_settings(engine=engine))
        payload = model.decode(post(body, content_type=content_type))
        found.append(model.predict(payload).outputs["score"].tobytes())
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("kind", "threads"), [("dart", 1), ("squarederror", 2), ("softprob", 2)])
def test_where_sums_may_differ_they_do_by_no_more_than_is_allowed(
    kind: str,
    threads: int,
    package: Package,
    boosters: Boosters,
    table: NDArray[np.float32],
    make_settings: MakeSettings,
) -> None:
    both = package(boosters[kind])
    plain = engines.load(both, make_settings(engine="xgboost", threads=threads))
    measured = engines.load(both, make_settings(threads=threads))
    assert measured.libraries.startswith("ONNX Runtime for 1 to")
    for size in SIZES:
        payload = Payload(table[:size], size)
        scores = [model.predict(payload).outputs["score"] for model in (plain, measured)]
        np.testing.assert_allclose(scores[1], scores[0], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("kind", ["squarederror", "softmax"])
def test_several_boosters_answer_together_by_either_library(
    kind: str,
    package: Package,
    boosters: Boosters,
    table: NDArray[np.float32],
    make_settings: MakeSettings,
) -> None:
    booster = boosters[kind]
    both = package(booster, booster[:4], booster[:2])
    plain = engines.load(both, make_settings(engine="xgboost"))
    measured = engines.load(both, make_settings())
    assert measured.libraries.startswith("ONNX Runtime for 1 to")
    assert answers(measured, table, 20) == answers(plain, table, 20)


def test_the_choice_and_the_difference_are_one_line_of_the_log(
    package: Package, make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    both = package(stump())
    caplog.set_level(logging.INFO, "serving")
    caplog.clear()
    model = engines.load(both, make_settings())
    assert [each.getMessage() for each in caplog.records] == [
        f"{model.libraries}; answers differ by 0 at most"
    ]


def test_a_script_gets_the_booster(package: Package, make_settings: MakeSettings) -> None:
    both = package(stump())
    (both / "code").mkdir()
    (both / "code" / "inference.py").write_text(
        "def predict_fn(data, model):\n    return model.predict(data) * 2\n"
    )
    model = engines.load(both, make_settings())
    payload = model.decode(post(b"0,5\n2,5\n", content_type="text/csv"))
    assert np.ravel(model.predict(payload).outputs).tolist() == [2.0, 6.0]


class TestForced:
    """SERVING_ENGINE says which library predicts."""

    def test_xgboost_does_without_the_conversion(
        self, package: Package, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = package(stump())
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        assert engines.load(both, make_settings(engine="xgboost")).native is not None

    def test_onnx_does_without_the_booster(
        self, package: Package, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = package(stump())
        monkeypatch.setitem(sys.modules, "xgboost", None)
        model = engines.load(both, make_settings(engine="onnx"))
        assert (model.engine, model.native) == ("xgboost", None)

    def test_onnx_is_refused_where_the_conversion_is_stale(
        self, package: Package, make_settings: MakeSettings
    ) -> None:
        both = package(stump())
        train_again(both / "0.ubj")
        with pytest.raises(ModelLoadError, match=r"0\.ubj\.xgb\.onnx was made of another 0\.ubj"):
            engines.load(both, make_settings(engine="onnx"))

    @pytest.mark.parametrize(
        ("engine", "imported"),
        [("", [LIBXGBOOST, "onnxruntime"]), ("xgboost", [LIBXGBOOST]), ("onnx", ["onnxruntime"])],
    )
    def test_only_what_predicts_is_imported_beforehand(
        self,
        engine: str,
        imported: list[str],
        package: Package,
        make_settings: MakeSettings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        both = package(stump())
        found: list[str] = []
        monkeypatch.setattr(importlib, "import_module", found.append)
        engines.prepare(both, make_settings(engine=engine))
        assert found == imported

    def test_onnx_says_what_to_install(
        self, package: Package, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = package(stump())
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(ModelLoadError, match=r"the onnx engine.*hybrid-serving\[onnx\]"):
            engines.load(both, make_settings(engine="onnx"))


class TestXGBoostAlone:
    """Whatever speaks against ONNX Runtime is said, and XGBoost predicts."""

    @pytest.fixture
    def load(
        self, make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
    ) -> Callable[..., tuple[Model, str]]:
        """Loads a directory, and gives what the log says of it."""

        def load(folder: Path, **given: Any) -> tuple[Model, str]:
            caplog.set_level(logging.INFO, "serving")
            caplog.clear()
            model = engines.load(folder, make_settings(**given))
            (record,) = caplog.records
            return model, f"{record.levelname}: {record.getMessage()}"

        return load

    def test_a_stale_conversion_is_not_used(self, package: Package, load: Any) -> None:
        both = package(stump())
        train_again(both / "0.ubj")
        model, told = load(both)
        assert model.native is not None
        assert told == (
            "WARNING: XGBoost alone predicts: 0.ubj.xgb.onnx was made of another 0.ubj than the "
            "one beside it; make it anew with serving compile --onnx."
        )

    def test_a_damaged_conversion_is_not_used(self, package: Package, load: Any) -> None:
        both = package(stump())
        (both / "0.ubj.xgb.onnx").write_bytes(b"cut")
        model, told = load(both)
        assert model.native is not None
        assert told.startswith("WARNING: XGBoost alone predicts: 0.ubj.xgb.onnx does not load")

    def test_one_that_does_not_say_what_it_was_made_of_is_not_used(
        self, package: Package, load: Any
    ) -> None:
        both = package(stump())
        path = both / "0.ubj.xgb.onnx"
        model = onnx.load(path)
        (entry,) = [each for each in model.metadata_props if each.key == conversion_manifest.KEY]
        model.metadata_props.remove(entry)
        onnx.save(model, path)
        assert "does not say what it was made of" in load(both)[1]

    def test_some_boosters_without_a_conversion_leave_all_to_xgboost(
        self, package: Package, load: Any
    ) -> None:
        both = package(stump(), stump())
        (both / "1.ubj.xgb.onnx").unlink()
        assert "1.ubj has no 1.ubj.xgb.onnx beside it" in load(both)[1]

    def test_answers_that_differ_are_told_with_the_difference(
        self, package: Package, load: Any, boosters: Boosters
    ) -> None:
        both = package(boosters["logistic"])
        other = boosters["logistic"][:3]
        other.save_model(both / "0.ubj")
        sha256 = conversion_manifest.checksum(both / "0.ubj")
        alter(both / "0.ubj.xgb.onnx", booster={"file": "0.ubj", "sha256": sha256})
        model, told = load(both)
        assert model.libraries == ALONE
        assert told.startswith("WARNING: XGBoost alone predicts: The converted model differs from")
        assert " apart; allowed is 1e-06 + 1e-05 of the value." in told

    def test_without_onnx_runtime_it_is_said_once(
        self, package: Package, load: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = package(stump())
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        told = load(both)[1]
        assert told.startswith("INFO: XGBoost alone predicts: ONNX Runtime is not installed (")

    @pytest.mark.parametrize(
        ("kind", "given", "reason"),
        [
            ("softmax", {"threads": 2}, "several threads"),
            ("logistic", {"threads": 2, "inference_output": "Predicted_Label"}, "several threads"),
            ("dart", {"inference_output": "predicted_label"}, "dart"),
        ],
    )
    def test_labels_that_could_differ_are_not_left_to_chance(
        self,
        kind: str,
        given: dict[str, Any],
        reason: str,
        package: Package,
        boosters: Boosters,
        make_settings: MakeSettings,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        both = package(boosters[kind])
        caplog.set_level(logging.INFO, "serving")
        model = engines.load(both, make_settings(**given))
        assert model.libraries == ALONE
        assert f"as they may with {reason}, can make another label" in caplog.text


def test_without_xgboost_onnx_runtime_predicts(
    package: Package,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = package(stump())
    monkeypatch.setitem(sys.modules, "xgboost", None)
    caplog.set_level(logging.INFO, "serving")
    model = engines.load(both, make_settings())
    assert model.native is None
    assert caplog.messages[-1] == "ONNX Runtime alone predicts: XGBoost is not installed"


def test_a_conversion_of_a_booster_that_is_not_there_is_refused(
    package: Package, make_settings: MakeSettings
) -> None:
    both = package(stump())
    (both / "0.ubj").rename(both / "other.ubj")
    with pytest.raises(
        ModelLoadError, match=r"0\.ubj\.xgb\.onnx goes with none of the boosters here, other\.ubj"
    ):
        engines.load(both, make_settings())


@pytest.mark.usefixtures("eager")
def test_a_pickle_may_have_a_conversion(
    tmp_path: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(stump()))
    settings = make_settings(allow_pickle=True)
    both = convert_model(folder, tmp_path / "both", settings, None).folder
    assert {path.name for path in both.iterdir()} == {"model.pkl", f"model.pkl{CONVERTED}"}
    assert engines.load(both, settings).libraries.startswith("ONNX Runtime for 1 to")
    assert libraries.USUAL in engines.load(both, settings).libraries
