"""Payloads of equal merge keys into one, and its prediction into one for each."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from serving.errors import PredictionError
from serving.values import Payload, Prediction


def stack(payloads: list[Payload]) -> Payload:
    """One payload with the rows of all, in order."""
    first = payloads[0].data
    data: Any
    if isinstance(first, Mapping):
        data = {name: np.concatenate([p.data[name] for p in payloads]) for name in first}
    else:
        data = np.concatenate([p.data for p in payloads])
    return Payload(data, sum(p.rows for p in payloads), payloads[0].merge_key)


def split(prediction: Prediction, counts: list[int]) -> list[Prediction]:
    """The prediction of stacked rows, cut into one for each count of rows.

    Raises:
        PredictionError: an output does not have one entry for each row.
    """
    outputs = prediction.outputs
    ends = list(accumulate(counts))
    named = isinstance(outputs, Mapping)
    for part in outputs.values() if named else (outputs,):
        if len(part) != ends[-1]:
            raise PredictionError(f"The model answered {len(part)} rows to {ends[-1]}.")
    spans = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    if not named:
        return [Prediction(outputs[span]) for span in spans]
    if len(outputs) == 1:  # nearly always: half the time of what is below
        ((name, values),) = outputs.items()
        return [Prediction({name: values[span]}) for span in spans]
    return [Prediction({n: values[span] for n, values in outputs.items()}) for span in spans]
