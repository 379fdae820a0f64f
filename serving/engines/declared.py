"""A Model of whatever takes and answers named arrays, and declares their types and shapes."""

from collections.abc import Callable, Sequence
from functools import partial

from serving.codecs import Outputs
from serving.engines import rows, tensors
from serving.model import Model, Native, Tensor
from serving.settings import Settings
from serving.values import Payload, Prediction


def build(
    engine: str,
    call: rows.Call,
    inputs: tuple[Tensor, ...],
    outputs: Sequence[Tensor],
    settings: Settings,
    *,
    device: str,
    native: Callable[[tuple[Tensor, ...], tensors.Stacks], Native],
    overlap: int = 1,
) -> Model:
    """Try the model with made-up rows, and decide by that how it is called.

    Args:
        engine: The engine's name.
        call: The model.
        inputs: What it declares to take.
        outputs: What it declares to answer. What it was seen to answer is added.
        settings: The default media type of answers.
        device: Where the model runs.
        native: Makes the model's ``native`` of its inputs as they are served.
        overlap: How many calls may run at once.
    """
    call, inputs, trial = rows.settle(call, inputs, outputs)

    def stacks(_: object) -> bool:
        return trial.independent

    sample = tensors.payload(trial.sample, inputs, stacks) if trial.sample else Payload(None)
    return Model(
        engine=engine,
        decode=partial(tensors.decode, inputs=inputs, stacks=stacks),
        take=partial(tensors.take, inputs=inputs, stacks=stacks),
        predict=lambda payload: Prediction(call(payload.data)),
        encode=tensors.encode,
        reads=tensors.READS,
        writes=tensors.writes(settings, trial.outputs),
        inputs=inputs,
        outputs=_answered(outputs, trial.outputs),
        sample=sample.data,
        merge_key=sample.merge_key,
        devices=(device,),
        native=native(inputs, stacks),
        overlap=overlap,
    )


def _answered(declared: Sequence[Tensor], seen: Outputs | None) -> tuple[Tensor, ...]:
    """The outputs by the names they are answered with, which a trial showed."""
    if seen is None:
        return tuple(declared)
    known = {tensor.name: tensor for tensor in declared}
    return tuple(
        known.get(name) or Tensor(name, str(values.dtype).replace("object", "str"), (None,))
        for name, values in seen.items()
    )
