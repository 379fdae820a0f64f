"""The defaults for a script's model of no known engine: arrays in, whatever it answers out.

They are those of SageMaker's inference toolkit: JSON, CSV and npy become one NumPy array, npz a
matrix of SciPy's, and JSON is written of anything that has a form in it.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving import media
from serving.codecs import BY_NAME, csv, find, json, npy, npz
from serving.engines import tensors
from serving.engines.function import failure
from serving.errors import ModelLoadError, NotAcceptable
from serving.model import Model, Native, Write
from serving.problems import catch
from serving.settings import Settings
from serving.values import Payload, Prediction, Request, Response

READS = (
    *("application/json", "text/csv", "application/jsonlines"),
    *("application/x-npy", "application/x-npz"),
)


def model(loaded: Any, settings: Settings, *, predicts: bool) -> Model:
    """A Model of what a script's ``model_fn`` returned.

    Args:
        loaded: A PyTorch module, an XGBoost booster, an object with a ``predict`` method, or
            something to call.
        settings: The default media type of answers.
        predicts: Whether it must predict; else the script has a function for that.

    Raises:
        ModelLoadError: nobody knows how to predict with it.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(loaded, torch.nn.Module):
        from serving.engines import torch_formats

        return torch_formats.of_module(
            torch_formats.prepared(loaded, settings) if predicts else loaded, settings
        )
    xgboost = sys.modules.get("xgboost")
    if xgboost is not None and isinstance(loaded, xgboost.Booster):
        from serving.engines.libxgboost import Booster
        from serving.engines.xgboost import OUTPUT, of_boosters

        def bare(prediction: Prediction, accept: str, request: Request) -> Response:
            return encode(Prediction(prediction.outputs[OUTPUT]), accept, request)

        # For a script, unlike for a model without one, the container adds nothing to the scores.
        own = replace(settings, inference_output="", default_accept="")
        boosted = of_boosters([Booster(loaded)], own)
        return replace(boosted, encode=bare, writes=tensors.writes(settings))
    predict = getattr(loaded, "predict", None) or loaded
    if predicts and not callable(predict):
        raise ModelLoadError(
            f"model_fn returned {type(loaded).__name__}, which has no predict method and cannot be "
            "called; the script needs a predict_fn."
        )

    def run(payload: Payload) -> Prediction:
        result = catch(predict, payload.data)
        if isinstance(result, BaseException):
            raise failure("The model", result) from result
        return Prediction(result)

    return Model(
        engine="script",
        decode=decode,
        predict=run,
        encode=encode,
        reads=READS,
        writes=tensors.writes(settings),
        foreign=frozenset({"predict"}),
        native=Native(
            model=lambda: loaded,
            payload=Payload,
            argument=lambda data: data,
            result=lambda result: result,
        ),
        take=take,
        give=give,
    )


def decode(request: Request) -> Payload:
    """The request's body as one array, or as the JSON it is where that is no array.

    Integers become int64, other numbers float64, and ``{"instances": ...}`` or ``{"inputs": ...}``
    stands for what it holds. Several arrays of an npz body are a dictionary, and a sparse matrix is
    one of SciPy's if that is installed.

    Raises:
        UnsupportedMediaType: the Content-Type is none of READS.
        DecodeError: the body is malformed.
    """
    content_type = media.parse(request.headers.get("content-type") or tensors.DEFAULT_CONTENT_TYPE)
    codec = find(content_type, READS)
    if codec is csv.CODEC:
        value: Any = csv.decode(request.body, content_type, np.dtype(np.float64))
    elif codec is npy.CODEC:
        value = npy.decode(request.body, content_type)
    elif codec is npz.CODEC:
        value = npz.decode_for_script(request.body, content_type)
    else:
        value = _array(codec.decode(request.body, content_type))
    return Payload(value, next(iter(getattr(value, "shape", ())), 1))


def take(arrays: Mapping[str, Any], _request: Request) -> Payload:
    """The one array, or several as a dictionary."""
    first = next(iter(arrays.values()))
    return Payload(dict(arrays) if len(arrays) > 1 else first, next(iter(first.shape), 1))


def give(prediction: Prediction, write: Write) -> Response:
    """Have a result of any kind written as arrays. Raises NotAcceptable where it is none."""
    try:
        outputs = _named(_without_tensors(prediction.outputs))
    except ValueError as error:
        raise NotAcceptable(f"The answer cannot be written as tensors: {error}.") from error
    return write(outputs)


def encode(prediction: Prediction, accept: str, _request: Request) -> Response:
    """A result of any kind as a response.

    Raises:
        NotAcceptable: the media type cannot carry it.
    """
    result = _without_tensors(prediction.outputs)
    if accept == "application/json":
        return Response(200, json.dumps(result), accept)
    try:
        outputs = _named(result)
    except ValueError as error:
        raise NotAcceptable(f"The answer cannot be written as {accept}: {error}.") from error
    return Response(200, BY_NAME[accept].encode(outputs), accept)


def _named(result: Any) -> dict[str, NDArray[Any]]:
    """Named arrays of a result. Raises ValueError where a part of it makes none."""
    named = result if isinstance(result, Mapping) else {"output_0": result}
    return {str(name): np.asarray(value) for name, value in named.items()}


def _array(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        form, inner = next(iter(value.items()))
        value = inner if form in ("instances", "inputs") else value
    if not isinstance(value, list):
        return value
    # As objects first: NumPy would give each text the space of the longest.
    objects = np.asarray(value, dtype=object)
    kinds = set(map(type, objects.ravel().tolist()))
    if kinds == {str}:
        return objects
    try:
        if kinds <= {int, bool}:
            return objects.astype(np.int64)
        return objects.astype(np.float64) if kinds <= {int, bool, float} else value
    except OverflowError:
        return objects.astype(np.float64)


def _without_tensors(value: Any) -> Any:
    """The value with arrays in place of PyTorch's tensors, and lists in place of tuples."""
    if isinstance(value, Mapping):
        return {key: _without_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return value
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    return value.tolist() if hasattr(value, "tolist") else value
