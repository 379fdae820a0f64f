"""Which files are boosters, and what becomes of damaged ones."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.testing import assert_array_equal

from serving import engines
from serving.errors import ModelLoadError
from tests.conftest import MakeSettings
from tests.engines.xgboost.bodies import Rows, as_csv
from tests.engines.xgboost.support import Boosters, Load, ask, expected, scores, write

CUT = """
import sys
from pathlib import Path
from serving.engines import boosters
from serving.errors import ModelLoadError
from serving.configuration import read

model, settings = Path(sys.argv[1]), read({})
content = model.read_bytes()
for length in (*range(40), *range(40, len(content), 173), len(content) - 1):
    model.write_bytes(content[:length])
    try:
        boosters.read(model, settings)
    except ModelLoadError:
        continue
    print(length, "bytes of", len(content), "were taken for a model")
print("done")
"""


class TestFiles:
    """Which files are boosters, and what becomes of damaged ones."""

    @pytest.mark.parametrize(
        ("name", "form"),
        [
            ("model.json", "json"),
            ("model.ubj", "ubj"),
            ("xgboost-model", "ubj"),
            ("xgboost-model", "json"),
            ("model.bst", "ubj"),
            ("churn.model", "json"),
            ("churn.xgb", "ubj"),
            ("booster", "ubj"),
            ("booster", "json"),
            ("wrong.ubj", "json"),
            ("wrong.json", "ubj"),
        ],
    )
    def test_every_format_is_read_under_every_name(
        self,
        tmp_path: Path,
        boosters: Boosters,
        table: Rows,
        make_settings: MakeSettings,
        name: str,
        form: str,
    ) -> None:
        write(boosters["squarederror"], tmp_path / name, form)
        (tmp_path / "README.md").write_text("A learner.")
        (tmp_path / "metrics.json").write_text('{"rmse": 0.1}')
        (tmp_path / ".hidden").write_text('{"learner": {}}')
        model = engines.load(tmp_path, make_settings())
        assert_array_equal(
            scores(ask(model, as_csv(table))), expected(boosters["squarederror"], table)
        )

    def test_one_that_stopped_early_predicts_with_its_best_round(
        self, load: Load, boosters: Boosters, table: Rows
    ) -> None:
        booster = boosters["stopped"]
        got = scores(ask(load("stopped", "model.json"), as_csv(table)))
        best = booster.best_iteration + 1
        assert best < booster.num_boosted_rounds()
        assert_array_equal(got, booster.inplace_predict(table, iteration_range=(0, best)))

    def test_several_are_an_ensemble_unless_the_setting_says_otherwise(
        self, tmp_path: Path, boosters: Boosters, table: Rows, make_settings: MakeSettings
    ) -> None:
        pair = [boosters["squarederror"], boosters["dart"]]
        for index, booster in enumerate(pair):
            write(booster, tmp_path / f"{index}.ubj")
        mean = np.mean([expected(each, table) for each in pair], axis=0)
        together = scores(ask(engines.load(tmp_path, make_settings()), as_csv(table)))
        np.testing.assert_allclose(together, mean, rtol=1e-6)
        first = engines.load(tmp_path, make_settings(ensemble=False))
        assert_array_equal(scores(ask(first, as_csv(table))), expected(pair[0], table))

    def test_an_ensemble_takes_the_same_features(
        self, tmp_path: Path, boosters: Boosters, make_settings: MakeSettings
    ) -> None:
        write(boosters["logistic"], tmp_path / "a.ubj")
        matrix = xgboost.DMatrix(np.eye(3), [0, 1, 1])
        write(xgboost.train({"nthread": 1}, matrix, 1), tmp_path / "b.ubj")
        with pytest.raises(ModelLoadError, match="the same features; these take 3, 5"):
            engines.load(tmp_path, make_settings())

    @pytest.mark.parametrize("kind", ["booster", "classifier"])
    def test_a_pickle_is_refused_unless_it_is_allowed(
        self,
        tmp_path: Path,
        boosters: Boosters,
        table: Rows,
        make_settings: MakeSettings,
        kind: str,
    ) -> None:
        model: Any = boosters["logistic"]
        if kind == "classifier":
            model = xgboost.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1)
            model.fit(table, np.arange(len(table)) % 2)
        booster = model if kind == "booster" else model.get_booster()
        for name in ("xgboost-model", "model.pkl"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / name).write_bytes(pickle.dumps(model))
            with pytest.raises(ModelLoadError, match=f"{name} is a Python pickle") as refused:
                engines.load(folder, make_settings())
            assert "SERVING_ALLOW_PICKLE=true" in str(refused.value)
            allowed = engines.load(folder, make_settings(allow_pickle=True))
            assert_array_equal(scores(ask(allowed, as_csv(table))), expected(booster, table))

    def test_a_refused_pickle_runs_nothing(
        self, tmp_path: Path, make_settings: MakeSettings
    ) -> None:
        mark = tmp_path / "mark"

        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (mark,)

        (tmp_path / "xgboost-model").write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ModelLoadError):
            engines.load(tmp_path, make_settings())
        assert not mark.exists()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (pickle.dumps({"a": 1}), "is a pickle of dict, no booster"),
            (pickle.dumps([1, 2])[:-3], "cannot be unpickled"),
            (b"\x80\x04nonsense", "cannot be unpickled"),
        ],
    )
    def test_a_pickle_of_something_else_is_refused(
        self, tmp_path: Path, make_settings: MakeSettings, content: bytes, reason: str
    ) -> None:
        (tmp_path / "xgboost-model").write_bytes(content)
        with pytest.raises(ModelLoadError, match=reason):
            engines.load(tmp_path, make_settings(allow_pickle=True))

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"{}", b'{"learner": {}}', b"binf" + bytes(200), b"\x1f\x8b\x08", b"{L", b"PK"],
    )
    def test_what_is_no_booster_is_refused_in_one_line(
        self, tmp_path: Path, make_settings: MakeSettings, content: bytes
    ) -> None:
        (tmp_path / "xgboost-model").write_bytes(content)
        with pytest.raises(ModelLoadError) as refused:
            engines.load(tmp_path, make_settings())
        message = str(refused.value)
        assert message.startswith("xgboost-model is damaged or of a format that XGBoost ")
        assert message.endswith("It reads the JSON and UBJSON that save_model writes.")
        assert "\n" not in message

    @pytest.mark.parametrize("form", ["json", "ubj"])
    def test_a_file_that_was_cut_is_refused_wherever_it_was_cut(
        self, tmp_path: Path, boosters: Boosters, form: str
    ) -> None:
        """In a process of its own: the library does not survive every cut."""
        model = tmp_path / "xgboost-model"
        write(boosters["logistic"], model, form)
        command = [sys.executable, "-c", CUT, str(model)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
