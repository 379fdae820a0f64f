"""Models behind FastAPI: raw requests and responses, since a model's numbers need no pydantic.

The handlers are coroutines: a prediction takes less time than the way to a thread and back.
"""

import io
import os
from pathlib import Path

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

MODELS = Path(os.environ["MODELS"])
NAMES = os.environ["NAMES"].split(",")

app = FastAPI()


@app.get("/ping")
async def ping() -> Response:
    return Response()


if "xgboost" in NAMES:
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=MODELS / "xgboost" / "model.ubj")

    @app.post("/xgboost")
    async def predict_xgboost(request: Request) -> Response:
        row = np.fromstring((await request.body()).decode(), np.float32, sep=",")
        score = booster.inplace_predict(row.reshape(1, -1))[0]
        return Response(str(score), media_type="text/csv")


if "mlp" in NAMES:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODELS / "mlp" / "model.onnx", options)

    @app.post("/mlp/json")
    async def predict_json(request: Request) -> Response:
        rows = np.array(orjson.loads(await request.body())["instances"], np.float32)
        (probabilities,) = session.run(None, {"input": rows})
        answer = orjson.dumps({"predictions": probabilities}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(answer, media_type="application/json")

    @app.post("/mlp/binary")
    async def predict_binary(request: Request) -> Response:
        rows = np.load(io.BytesIO(await request.body()))
        (probabilities,) = session.run(None, {"input": rows})
        answer = io.BytesIO()
        np.save(answer, probabilities)
        return Response(answer.getvalue(), media_type="application/x-npy")
