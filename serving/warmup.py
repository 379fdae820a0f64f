"""A first prediction before a model is called ready, and what it costs."""

import time
from collections.abc import Callable

from serving.batching import Cost
from serving.errors import ModelLoadError
from serving.model import Model
from serving.problems import catch
from serving.stacking import stack
from serving.values import Payload

ROWS = 32
ROUNDS = 6
UNKNOWN = Cost(float("inf"), float("inf"))


def measure(model: Model) -> Cost:
    """What the model's predictions cost; infinite where it has no sample to try.

    The shortest of a few calls each with one row and with many: what is above it, others took,
    such as the workers that load at the same time. A model that takes no stacked rows is taken to
    cost the same for each row.

    Raises:
        ModelLoadError: the model loads but cannot answer.
    """
    if model.sample is None:
        return UNKNOWN
    one = Payload(model.sample, 1, model.merge_key)
    first = _seconds(lambda: model.predict(one))
    if model.merge_key is None:
        return Cost(0.0, first)
    many = stack([one] * ROWS)
    per_row = max(0.0, _seconds(lambda: model.predict(many)) - first) / (ROWS - 1)
    return Cost(max(0.0, first - per_row), per_row)


def _seconds(predict: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        answer = catch(predict)
        times.append(time.perf_counter() - start)
        if isinstance(answer, BaseException):
            raise ModelLoadError(
                f"The model loads but cannot answer: {type(answer).__name__}: {answer}"
            ) from answer
        if times[0] > 1.0:  # long models need no precise measure
            return times[0]
    return min(times)
