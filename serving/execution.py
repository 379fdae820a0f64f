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


class _Group(NamedTuple):
    """Calls whose payloads can be stacked, or one alone."""

    calls: list[Call]
    payloads: list[Payload]


def run(model: Model, calls: Sequence[Call]) -> Outcome:
    """Decode what is not decoded, predict what can be stacked together, encode each."""
    started = time.monotonic()
    answers: list[tuple[Call, Response]] = []
    groups: dict[Any, _Group] = {}
    for call in calls:
        payload: Payload | Response | None = call.payload
        if payload is None:
            payload = attempt((call.dialect or model).decode, call.request)
        if isinstance(payload, Response):
            answers.append((call, payload))
            continue
        key = id(call) if payload.merge_key is None else payload.merge_key
        group = groups.get(key)
        if group is None:
            groups[key] = _Group([call], [payload])
        else:
            group.calls.append(call)
            group.payloads.append(payload)
    decoded = time.monotonic()
    outcomes = [_predict(model, group) for group in groups.values()]
    predicted = time.monotonic()
    for group, predictions in zip(groups.values(), outcomes, strict=True):
        for call, outcome in zip(group.calls, predictions, strict=True):
            if isinstance(outcome, Prediction):
                encode = (call.dialect or model).encode
                outcome = attempt(encode, outcome, call.accept, call.request)
            answers.append((call, outcome))
    rows = [sum([payload.rows for payload in group.payloads]) for group in groups.values()]
    return Outcome(answers, started, decoded, predicted, time.monotonic(), rows)


def _predict(model: Model, group: _Group) -> Sequence[Prediction | Response]:
    """A prediction for each call of a group, or the response that ends it."""
    calls, payloads = group
    if len(calls) == 1:
        return [_alone(model, calls[0], payloads[0])]
    together = catch(_together, model, payloads)
    if not isinstance(together, BaseException):
        return together
    # One bad row must not fail its neighbours.
    outcomes = [_alone(model, call, payload) for call, payload in zip(calls, payloads, strict=True)]
    if not any(isinstance(outcome, Response) for outcome in outcomes):
        log.warning("%d requests failed together, but not alone: %s", len(calls), together)
    return outcomes


def _together(model: Model, payloads: list[Payload]) -> list[Prediction]:
    return split(model.predict(stack(payloads)), [payload.rows for payload in payloads])


def _alone(model: Model, call: Call, payload: Payload) -> Prediction | Response:
    outcome = catch(model.predict, payload)
    return response(outcome, call.request) if isinstance(outcome, BaseException) else outcome
