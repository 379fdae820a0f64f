"""A batch through a model: decode, stack, predict, split, encode."""

import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from serving.call import Call
from serving.model import Model
from serving.problems import attempt, catch, response
from serving.stacking import split, stack
from serving.values import Payload, Prediction, Response

log = logging.getLogger("serving")


class Outcome(NamedTuple):
    """What became of a batch. Times are those of ``time.monotonic``, in seconds."""

    answers: list[tuple[Call, Response]]
    started: float
    decoded: float
    """When the last payload was decoded that the model's thread had to decode."""
    predicted: float
    encoded: float
    rows: list[int]
    """Rows of each call of the model."""


def run(model: Model, calls: Sequence[Call]) -> Outcome:
    """Decode what is not decoded, predict what can be stacked together, encode each."""
    started = time.monotonic()
    answers: list[tuple[Call, Response]] = []
    groups: dict[Any, list[tuple[Call, Payload]]] = {}
    for call in calls:
        payload: Payload | Response | None = call.payload
        if payload is None:
            payload = attempt((call.dialect or model).decode, call.request)
        if isinstance(payload, Response):
            answers.append((call, payload))
        else:
            key = payload.merge_key
            groups.setdefault(id(call) if key is None else key, []).append((call, payload))
    decoded = time.monotonic()
    outcomes: list[tuple[Call, Prediction | Response]] = []
    rows = []
    for group in groups.values():
        rows.append(sum(payload.rows for _, payload in group))
        together = zip(group, _predict(model, group), strict=True)
        outcomes += [(call, outcome) for (call, _), outcome in together]
    predicted = time.monotonic()
    for call, outcome in outcomes:
        if isinstance(outcome, Prediction):
            encode = (call.dialect or model).encode
            answers.append((call, attempt(encode, outcome, call.accept, call.request)))
        else:
            answers.append((call, outcome))
    return Outcome(answers, started, decoded, predicted, time.monotonic(), rows)


def _predict(model: Model, group: list[tuple[Call, Payload]]) -> list[Prediction | Response]:
    """A prediction, or the response that ends the request, for each of equal merge keys."""
    if len(group) == 1:
        return [_alone(model, *group[0])]
    payloads = [payload for _, payload in group]
    together = catch(lambda: split(model.predict(stack(payloads)), [p.rows for p in payloads]))
    if not isinstance(together, BaseException):
        return list(together)
    # One bad row must not fail its neighbours.
    outcomes = [_alone(model, call, payload) for call, payload in group]
    if not any(isinstance(outcome, Response) for outcome in outcomes):
        log.warning("%d requests failed together, but not alone: %s", len(group), together)
    return outcomes


def _alone(model: Model, call: Call, payload: Payload) -> Prediction | Response:
    outcome = catch(model.predict, payload)
    return response(outcome, call.request) if isinstance(outcome, BaseException) else outcome
