"""XGBoost boosters, answering as SageMaker's XGBoost container does for a model without code.

Statuses, default types and response shapes are that container's (algorithm mode), so its clients
need no change. JSON requests, which it refuses, are read as well.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving import media
from serving.codecs import BY_NAME, Sparse, find
from serving.engines import tensors
from serving.engines.base import Engine
from serving.engines.fitting import MAX_DENSE
from serving.errors import (
    BadRequest,
    DecodeError,
    ModelLoadError,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from serving.model import Model, Tensor
from serving.settings import Settings
from serving.values import Payload, Prediction, Request, Response

NAME = "xgboost-model"
"""What SageMaker's training writes, in whichever of the library's formats."""

SUFFIXES = {".ubj", ".xgb", ".bst", ".model"}
READS = (
    "text/csv",
    "text/libsvm",
    "application/x-recordio-protobuf",
    "application/json",
    "application/jsonlines",
    "application/x-npy",
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


def files(folder: Path) -> list[Path]:
    """The boosters in a model directory."""
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_booster(path))


def load(found: list[Path], settings: Settings) -> Model:
    """Load the one booster.

    Raises:
        ModelLoadError: there are several, or the file is damaged, of a format this version of the
            library has dropped, or a pickle and pickles are not allowed.
    """
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ModelLoadError(f"The model directory has several XGBoost models ({names}), not one.")
    booster = _booster(found[0], settings)
    booster.set_param({"nthread": settings.model_threads, "device": "cpu"})
    return _Boosted(booster).model(settings)


ENGINE = Engine("xgboost", "xgboost", files, load)


class _Boosted:
    """The functions of one booster's model."""

    def __init__(self, booster: Any) -> None:
        self._width = booster.num_features()
        # A model that stopped early predicts with its best round, not with those after it.
        best = booster.attr("best_iteration")
        self._predict = _predictor(booster, (0, int(best) + 1 if best else 0))
        self._inputs = (Tensor("features", "float32", (None, self._width)),)

    def model(self, settings: Settings) -> Model:
        sample = np.zeros((1, self._width), np.float32)
        axes = self._predict(sample).shape[1:]
        return Model(
            engine="xgboost",
            decode=self.decode,
            predict=self.predict,
            encode=encode,
            reads=READS,
            writes=tensors.preferred(WRITES, settings),
            inputs=self._inputs,
            outputs=(Tensor(OUTPUT, "float32", (None, *axes)),),
            sample=sample,
            merge_key=STACKABLE,
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
        if value.ndim == 1:
            value = value[np.newaxis]
        if value.ndim != 2 or value.shape[1] != self._width:
            raise self._misfit(value.shape[-1])
        return Payload(value, len(value), STACKABLE)

    def predict(self, payload: Payload) -> Prediction:
        return Prediction({OUTPUT: self._predict(payload.data)})

    def _dense(self, table: Sparse) -> NDArray[np.float32]:
        """Absent cells are missing values to a booster, not zeros."""
        if table.columns > self._width:
            raise self._misfit(table.columns)
        if table.rows * self._width * 4 > MAX_DENSE:
            raise PayloadTooLarge(
                f"{table.rows} sparse rows of {self._width} features need more than "
                f"{MAX_DENSE >> 20} MiB; send fewer rows."
            )
        rows = np.full((table.rows, self._width), np.nan, np.float32)
        rows[np.repeat(np.arange(table.rows), np.diff(table.indptr)), table.indices] = table.values
        return rows

    def _misfit(self, columns: int) -> BadRequest:
        return BadRequest(
            f"Unable to evaluate payload provided: the model takes {self._width} features a row, "
            f"the payload has {columns}."
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


def _is_booster(path: Path) -> bool:
    if path.name == NAME or path.suffix in SUFFIXES:
        return True
    return path.suffix == ".json" and b'"learner"' in _first_bytes(path)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(65536)


def _booster(path: Path, settings: Settings) -> Any:
    import xgboost

    content = path.read_bytes()
    # A pickle, of protocol 2 or later, begins with this byte; no format of the library does.
    if content.startswith(b"\x80"):
        return _unpickled(path, content, settings)
    booster = xgboost.Booster()
    try:
        # From memory, since the library goes by the content there and by the name in a file.
        booster.load_model(bytearray(content))
    except xgboost.core.XGBoostError as error:
        raise ModelLoadError(
            f"{path.name} is damaged or of a format that XGBoost {xgboost.__version__} does not "
            f"read ({_reason(error)}). It reads the JSON and UBJSON that save_model writes."
        ) from error
    return booster


def _unpickled(path: Path, content: bytes, settings: Settings) -> Any:
    import xgboost

    if not settings.allow_pickle:
        raise ModelLoadError(
            f"{path.name} is a Python pickle, and loading one runs the code in it. Save the model "
            f"with its save_model method, or allow pickles with SERVING_ALLOW_PICKLE=true."
        )
    try:
        model = pickle.loads(content)  # noqa: S301 - allowed by the setting
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError) as error:
        raise ModelLoadError(f"{path.name} cannot be unpickled: {error}.") from error
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if not isinstance(booster, xgboost.Booster):
        raise ModelLoadError(f"{path.name} is a pickle of {type(model).__name__}, no booster.")
    return booster


def _predictor(booster: Any, trees: tuple[int, int]) -> Any:
    """A function of dense rows. Linear boosters cannot predict in place and go the longer way."""
    import xgboost

    from serving.engines.booster import DensePredictor

    if json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] != "gblinear":
        return DensePredictor(booster, trees)
    return lambda rows: booster.predict(xgboost.DMatrix(rows), validate_features=False)


def _reason(error: BaseException) -> str:
    """The sentence in a message of the library, which goes on with a stack of C++ frames."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rpartition(": ")[2] if lines else type(error).__name__
