"""What a user of sagemaker-inference writes: the functions that its default handler calls."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import orjson
import xgboost

Array = npt.NDArray[np.float32]
Model = Callable[[Array], Array]


def model_fn(model_dir: str) -> Model:
    """Load the file of a model, once in each process."""
    (file,) = Path(model_dir).iterdir()
    if file.suffix == ".ubj":
        booster: Model = xgboost.Booster({"nthread": 1}, model_file=file).inplace_predict
        return booster
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(["probabilities"], {"input": rows})[0]


def input_fn(body: str | bytearray, content_type: str) -> Array:
    """Rows from a body, which the toolkit gives as text where it is text."""
    if not isinstance(body, str):
        return np.load(io.BytesIO(body))
    if content_type == "text/csv":
        return np.fromstring(body, np.float32, sep=",").reshape(1, -1)
    return np.array(orjson.loads(body)["instances"], np.float32)


def predict_fn(rows: Array, model: Model) -> Array:
    """A prediction a row."""
    return model(rows)


def output_fn(prediction: Array, accept: str) -> bytes:
    """The predictions in the form that the client asks for."""
    if accept == "application/x-npy":
        buffer = io.BytesIO()
        np.save(buffer, prediction)
        return buffer.getvalue()
    return orjson.dumps({"predictions": prediction}, option=orjson.OPT_SERIALIZE_NUMPY)
