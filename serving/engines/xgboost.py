"""XGBoost boosters, answering as SageMaker's XGBoost container does for a model without code.

Statuses, default types and response shapes are that container's (algorithm mode), so its clients
need no change. JSON requests, which it refuses, are read as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from serving import media
from serving.codecs import BY_NAME, Sparse, find
from serving.engines import booster_files, selection, tensors
from serving.engines.base import LIBXGBOOST, XGBOOST, Engine
from serving.engines.ensemble import Predictor, combined
from serving.engines.fitting import fit
from serving.engines.selection import Selection
from serving.errors import (
    BadRequest,
    DecodeError,
    ModelLoadError,
    UnsupportedMediaType,
)
from serving.model import Model, Native, Tensor
from serving.settings import Settings
from serving.values import Payload, Prediction, Request, Response

if TYPE_CHECKING:
    from xgboost import DMatrix

    from serving.engines.converted import Converted
    from serving.engines.libxgboost import Booster

READS = (
    "text/csv",
    "text/libsvm",
    "application/x-recordio-protobuf",
    "application/json",
    "application/jsonlines",
    "application/x-npy",
    "application/x-npz",
)
WRITES = (
    "text/csv",
    "application/json",
    "application/jsonlines",
    "application/x-recordio-protobuf",
    "application/x-npy",
)
DEFAULT_CONTENT_TYPE = "text/libsvm"
STACKABLE = "rows"
OUTPUT = "score"


def load(found: list[Path], settings: Settings) -> Model:
    """Load the booster, or several as an ensemble, as the container does.

    Raises:
        ModelLoadError: a file cannot be loaded, or the boosters of an ensemble do not match.
        ImportError: what predicts with them is not installed.
    """
    paths, conversions = booster_files.answering(found, together=settings.ensemble)
    if not paths:
        from serving.engines import converted

        return _of_converted([converted.read(path, settings) for path in conversions], settings)
    others: Sequence[Converted] = ()
    if conversions or settings.engine not in ("", XGBOOST):
        from serving.engines import libraries

        others = libraries.counterparts(paths, conversions, settings)
        if others and libraries.onnx_alone(settings):
            return _of_converted(others, settings)
    from serving.engines import boosters

    return of_boosters([boosters.read(path, settings) for path in paths], settings, others)


def of_boosters(
    loaded: list["Booster"], settings: Settings, others: Sequence["Converted"] = ()
) -> Model:
    """A Model of a booster, or of an ensemble of several.

    Args:
        loaded: The boosters.
        settings: How they predict and answer.
        others: The same in ONNX's format; ONNX Runtime predicts where it is the faster one.

    Raises:
        ModelLoadError: the boosters of an ensemble do not match.
    """
    from serving.engines.booster import predictor

    for each in loaded:
        each.set("nthread", settings.model_threads)
        each.set("device", "cpu")
    config = loaded[0].config()
    objective = config["objective"]["name"]
    classes = int(config["learner_model_param"]["num_class"])
    width = _common({each.width() for each in loaded})
    predict, words = predictor(loaded, objective), ""
    if others:
        from serving.engines import libraries

        kind = config["gradient_booster"]["name"]
        predict, words = libraries.fastest(predict, others, kind, settings)
    boosted = _Boosted(predict, width, _selected(objective, classes, settings))
    native = Native(
        model=loaded[0].package,
        payload=boosted.payload,
        argument=_matrix,
        result=lambda outputs: outputs[OUTPUT],
    )
    return replace(boosted.model(settings, native), libraries=words)


def _of_converted(each: Sequence["Converted"], settings: Settings) -> Model:
    """A Model of boosters in ONNX's format; a script has no Booster to work with there."""
    objective, classes = each[0].objective, each[0].classes
    width = _common({one.width for one in each})
    predict = combined([one.predict for one in each], objective)
    boosted = _Boosted(predict, width, _selected(objective, classes, settings))
    return boosted.model(settings)


def _common(widths: set[int]) -> int:
    if len(widths) > 1:
        raise ModelLoadError(
            f"The boosters of an ensemble must take the same features; these take "
            f"{', '.join(map(str, sorted(widths)))}. SAGEMAKER_INFERENCE_ENSEMBLE=false loads the "
            f"first alone."
        )
    return widths.pop()


def _selected(objective: str, classes: int, settings: Settings) -> Selection | None:
    keys = settings.inference_output
    return Selection(keys, objective, classes, settings.batch) if keys else None


ENGINE = Engine(XGBOOST, XGBOOST, LIBXGBOOST, booster_files.files, load, package=XGBOOST)


class _Boosted:
    """The functions of one booster's model."""

    def __init__(self, predictor: Predictor, width: int, selection: Selection | None) -> None:
        self._predict = predictor
        self._width = width
        self._selection = selection
        self._inputs = (Tensor("features", "float32", (None, width)),)

    def model(self, settings: Settings, native: Native | None = None) -> Model:
        """The model; ``native`` is what a script's functions work with."""
        sample = np.zeros((1, self._width), np.float32)
        axes = self._predict(sample).shape[1:]
        writes = WRITES if self._selection is None else selection.WRITES
        return Model(
            engine=XGBOOST,
            decode=self.decode,
            predict=self.predict,
            encode=encode if self._selection is None else self.encode_selected,
            reads=READS,
            writes=tensors.preferred(writes, settings),
            inputs=self._inputs,
            outputs=(Tensor(OUTPUT, "float32", (None, *axes)),),
            sample=sample,
            merge_key=STACKABLE,
            native=native,
            take=self.take,
        )

    def decode(self, request: Request) -> Payload:
        content_type = media.parse(request.headers.get("content-type") or DEFAULT_CONTENT_TYPE)
        codec = find(content_type, READS)
        try:
            value = codec.decode(request.body, content_type)
        except DecodeError as error:
            name = codec.media_type.rpartition("/")[2].removeprefix("x-")
            raise UnsupportedMediaType(
                f"Loading {name} data failed with Exception, please ensure data is in {name} "
                f"format:\n {error}"
            ) from error
        if isinstance(value, Sparse):
            value = self._dense(value)
        elif not isinstance(value, np.ndarray):
            value = tensors.assign(value, codec, self._inputs)[self._inputs[0].name]
        if value.ndim < 2:
            value = np.atleast_2d(value)
        if value.ndim != 2 or value.shape[1] != self._width:
            raise self._misfit(value.shape[1] if value.ndim == 2 else f"the shape {value.shape}")
        if value.dtype.char != "f":
            value = fit(value, self._inputs[0])
        return Payload(value, len(value), STACKABLE)

    def payload(self, value: Any) -> Payload:
        """What an input_fn returned: rows, or a DMatrix as the container's own scripts make."""
        rows = value.get_data() if hasattr(value, "get_data") else value
        if hasattr(rows, "tocoo"):  # sparse: absent cells are missing values
            entries = rows.tocoo()
            rows = np.full(rows.shape, np.nan, np.float32)
            rows[entries.row, entries.col] = entries.data
        rows = fit(rows, self._inputs[0], record=True)
        return Payload(rows, len(rows), STACKABLE)

    def take(self, arrays: Mapping[str, Any], request: Request) -> Payload:
        payload = tensors.take(arrays, request, self._inputs, lambda _: True)
        return Payload(payload.data[self._inputs[0].name], payload.rows, STACKABLE)

    def predict(self, payload: Payload) -> Prediction:
        return Prediction({OUTPUT: self._predict(payload.data)})

    def encode_selected(self, prediction: Prediction, accept: str, _request: Request) -> Response:
        """The keys that SAGEMAKER_INFERENCE_OUTPUT names."""
        chosen = cast("Selection", self._selection)
        return Response(200, chosen.encode(prediction.outputs[OUTPUT], accept), accept)

    def _dense(self, table: Sparse) -> NDArray[np.float32]:
        """Absent cells are missing values to a booster, not zeros."""
        if table.columns > self._width:
            raise self._misfit(table.columns)
        return table.dense(self._width, np.nan, np.float32)

    def _misfit(self, found: int | str) -> BadRequest:
        return BadRequest(
            f"Unable to evaluate payload provided: the model takes {self._width} features a row, "
            f"the payload has {found}."
        )


def encode(prediction: Prediction, accept: str, _request: Request) -> Response:
    """Scores as the container writes them: a line each, or {"predictions": [{"score": …}]}."""
    if accept == "application/json":
        scores = prediction.outputs[OUTPUT].tolist()
        body = orjson.dumps({"predictions": [{OUTPUT: score} for score in scores]})
    elif accept == "application/jsonlines":
        scores = prediction.outputs[OUTPUT].tolist()
        body = b"".join(orjson.dumps({OUTPUT: score}) + b"\n" for score in scores)
    else:
        body = BY_NAME[accept].encode(prediction.outputs)
    return Response(200, body, accept)


def _matrix(rows: NDArray[np.float32]) -> "DMatrix":
    import xgboost

    return xgboost.DMatrix(rows)
