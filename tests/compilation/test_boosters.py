"""Boosters in ONNX's format answer as XGBoost does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import xgboost
from numpy.typing import NDArray

from serving.compilation import parity
from serving.compilation.boosters import to_onnx
from serving.engines import booster as library
from serving.engines import converted
from serving.engines.base import CONVERTED
from serving.engines.ensemble import Predictor
from serving.engines.libxgboost import Booster
from serving.errors import ModelLoadError
from tests.conftest import ROWS, MakeSettings
from tests.models import classes

Table = NDArray[np.float32]

KINDS = ("squarederror", "logistic", "softprob", "softmax", "stopped")
"""Of the boosters in tests/conftest.py, those that answer alike to the last bit, but for a row in
some thousand; dart adds its trees in another way."""

OTHERS: dict[str, dict[str, Any]] = {
    "base score": {"objective": "binary:logistic", "base_score": 0.2},
    "cox": {"objective": "survival:cox"},
    "forest": {"num_parallel_tree": 4, "subsample": 0.5},
    "gamma": {"objective": "reg:gamma", "base_score": 2.5},
    "hinge": {"objective": "binary:hinge"},
    "logistic regression": {"objective": "reg:logistic"},
    "logitraw": {"objective": "binary:logitraw"},
    "no split": {"gamma": 1e9},
    "poisson": {"objective": "count:poisson"},
    "quantiles": {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]},
    "ranks": {"objective": "rank:ndcg"},
    "tweedie": {"objective": "reg:tweedie"},
}


@pytest.fixture
def convert(tmp_path: Path, make_settings: MakeSettings) -> Any:
    def convert(booster: xgboost.Booster) -> converted.Converted:
        path = tmp_path / f"model{CONVERTED}"
        path.write_bytes(to_onnx(booster))
        return converted.read(path, make_settings())

    return convert


def objective(booster: xgboost.Booster) -> str:
    return str(json.loads(booster.save_config())["learner"]["objective"]["name"])


def original(booster: xgboost.Booster) -> Predictor:
    return library.predictor([Booster(booster)], objective(booster))


def train(parameters: dict[str, Any], table: Table, rounds: int = 12) -> xgboost.Booster:
    label = (np.nan_to_num(table).sum(axis=1) > 0).astype(np.float32)
    if parameters.get("objective") == "reg:gamma":
        label += 1
    matrix = xgboost.DMatrix(table, label)
    if parameters.get("objective", "").startswith("rank:"):
        matrix.set_group([len(table) // 4] * 4)
    return xgboost.train({"nthread": 1, "seed": 1, **parameters}, matrix, rounds)


@pytest.mark.parametrize("kind", [*KINDS, "dart"])
def test_a_booster_answers_alike_on_both_sides_of_each_split(
    kind: str, boosters: dict[str, xgboost.Booster], table: Table, convert: Any
) -> None:
    booster = boosters[kind]
    rows = np.concatenate([parity.made_up(booster), table])
    shown = parity.check(original(booster), convert(booster).predict, rows, "the rows")
    assert kind == "dart" or shown.equal >= 0.998 * len(rows)


@pytest.mark.parametrize("name", OTHERS)
def test_an_objective_is_taken_over(name: str, table: Table, convert: Any) -> None:
    booster = train(OTHERS[name], table)
    rows = np.concatenate([parity.made_up(booster), table])
    shown = parity.check(original(booster), convert(booster).predict, rows, "the rows")
    assert shown.equal >= 0.998 * len(rows)


@pytest.mark.parametrize("kind", ["dart", "softprob"])
def test_classes_of_either_kind_of_trees_are_side_by_side(
    kind: str, table: Table, convert: Any
) -> None:
    parameters = {"objective": "multi:softprob", "num_class": 3}
    dart = {"booster": "dart", "rate_drop": 0.3} if kind == "dart" else {}
    matrix = xgboost.DMatrix(table, np.arange(ROWS) % 3)
    booster = xgboost.train({**parameters, **dart, "nthread": 1}, matrix, 6)
    found = convert(booster)
    assert (found.objective, found.classes, found.width) == ("multi:softprob", 3, 5)
    assert found.predict(table).shape == (ROWS, 3)
    parity.check(original(booster), found.predict, table, "the table")


def test_a_booster_without_trees_is_its_base_score(convert: Any) -> None:
    scores = convert(classes()).predict(np.zeros((2, 2), np.float32))
    assert scores.tolist() == [[0.25] * 4] * 2


def test_a_single_row_has_a_single_answer(
    boosters: dict[str, xgboost.Booster], table: Table, convert: Any
) -> None:
    assert convert(boosters["logistic"]).predict(table[:1]).shape == (1,)


def test_a_booster_that_stopped_early_leaves_out_the_trees_after_its_best(
    boosters: dict[str, xgboost.Booster],
) -> None:
    booster = boosters["stopped"]
    graph = onnx.load_model_from_string(to_onnx(booster)).graph
    attributes = {each.name: each for each in graph.node[0].attribute}
    trees = set(attributes["nodes_treeids"].ints) - {0}  # the first holds the base score
    assert len(trees) == booster.best_iteration + 1 < booster.num_boosted_rounds()


def test_equal_boosters_give_equal_bytes(boosters: dict[str, xgboost.Booster]) -> None:
    assert to_onnx(boosters["softprob"]) == to_onnx(boosters["softprob"].copy())


def test_splits_by_category_are_refused(table: Table) -> None:
    categories = np.column_stack([table[:, 0], np.arange(ROWS) % 7]).astype(np.float32)
    matrix = xgboost.DMatrix(
        categories, np.arange(ROWS) % 7 % 3, feature_types=["q", "c"], enable_categorical=True
    )
    booster = xgboost.train({"max_cat_to_onehot": 1, "nthread": 1}, matrix, 3)
    with pytest.raises(ModelLoadError, match="splits by category"):
        to_onnx(booster)


def test_linear_boosters_are_refused(boosters: dict[str, xgboost.Booster]) -> None:
    with pytest.raises(ModelLoadError, match="'gblinear', which has no trees"):
        to_onnx(boosters["linear"])


def test_trees_with_several_outputs_are_refused(table: Table) -> None:
    matrix = xgboost.DMatrix(table, np.column_stack([np.arange(ROWS) % 2, np.arange(ROWS) % 3]))
    booster = xgboost.train({"multi_strategy": "multi_output_tree", "nthread": 1}, matrix, 2)
    with pytest.raises(ModelLoadError, match="several outputs"):
        to_onnx(booster)


def test_an_objective_of_ones_own_is_refused_with_those_that_are_known(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.compilation.boosters.OBJECTIVES", {"reg:gamma"})
    with pytest.raises(ModelLoadError, match=r"'reg:squarederror'.* one of reg:gamma"):
        to_onnx(train({}, table))


def test_times_of_survival_are_taken_over(table: Table, convert: Any) -> None:
    matrix = xgboost.DMatrix(table)
    times = np.abs(np.nan_to_num(table[:, 0])) + 1
    matrix.set_float_info("label_lower_bound", times)
    matrix.set_float_info("label_upper_bound", times)
    booster = xgboost.train({"objective": "survival:aft", "nthread": 1}, matrix, 6)
    parity.check(original(booster), convert(booster).predict, table, "the table")
