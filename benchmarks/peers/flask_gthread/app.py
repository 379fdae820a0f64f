"""Models behind Flask, as one writes it who knows both: arrays all the way, JSON by orjson."""

import io
import os
from pathlib import Path

import numpy as np
import orjson
from flask import Flask, Response, request

MODELS = Path(os.environ["MODELS"])
NAMES = os.environ["NAMES"].split(",")

app = Flask(__name__)


@app.get("/ping")
def ping() -> Response:
    return Response()


if "xgboost" in NAMES:
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=MODELS / "xgboost" / "model.ubj")

    @app.post("/xgboost")
    def predict_xgboost() -> Response:
        row = np.fromstring(request.get_data(as_text=True), np.float32, sep=",")
        score = booster.inplace_predict(row.reshape(1, -1))[0]
        return Response(str(score), mimetype="text/csv")


if "mlp" in NAMES:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODELS / "mlp" / "model.onnx", options)

    @app.post("/mlp/json")
    def predict_json() -> Response:
        rows = np.array(orjson.loads(request.get_data())["instances"], np.float32)
        (probabilities,) = session.run(None, {"input": rows})
        answer = orjson.dumps({"predictions": probabilities}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(answer, mimetype="application/json")

    @app.post("/mlp/binary")
    def predict_binary() -> Response:
        rows = np.load(io.BytesIO(request.get_data()))
        (probabilities,) = session.run(None, {"input": rows})
        answer = io.BytesIO()
        np.save(answer, probabilities)
        return Response(answer.getvalue(), mimetype="application/x-npy")
