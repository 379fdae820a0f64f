"""Boosters in files, and what a model answers beside what the library predicts."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xgboost

from serving import problems
from serving.model import Model
from serving.values import Request, Response
from tests.engines.xgboost.bodies import CSV, Rows

Boosters = dict[str, xgboost.Booster]
Load = Callable[..., Model]


def write(booster: xgboost.Booster, path: Path, form: str = "") -> None:
    path.write_bytes(booster.save_raw(form or path.suffix.removeprefix(".") or "ubj"))


def ask(
    model: Model, body: bytes | str, content_type: str | None = CSV, accept: str = CSV
) -> Response:
    """An answer, through the model's three functions."""
    headers = {} if content_type is None else {"content-type": content_type}
    raw = body.encode() if isinstance(body, str) else body
    request = Request("POST", "/invocations", headers, raw)

    def answer() -> Response:
        return model.encode(model.predict(model.decode(request)), accept, request)

    return problems.attempt(answer)


def scores(response: Response) -> Rows:
    """The numbers of a CSV answer, as the float32 they are."""
    assert response.status == 200, response.body
    assert response.content_type == CSV
    assert isinstance(response.body, bytes)
    lines = response.body.decode().splitlines()
    rows = np.array([[np.float32(cell) for cell in line.split(",")] for line in lines])
    return rows[:, 0] if rows.shape[1] == 1 else rows


def refusal(response: Response) -> tuple[int, str]:
    assert isinstance(response.body, bytes)
    return response.status, str(json.loads(response.body)["message"])


def expected(booster: xgboost.Booster, rows: Rows) -> Rows:
    """What the library itself predicts.

    In place, where it can: its two ways differ in the last bit for dart.
    """
    best = booster.attr("best_iteration")
    rounds = (0, int(best) + 1) if best else (0, 0)
    predictions: Rows
    if json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gblinear":
        predictions = booster.predict(xgboost.DMatrix(rows))
    else:
        predictions = booster.inplace_predict(rows, iteration_range=rounds)
    return predictions
