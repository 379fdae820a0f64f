"""The baseline: what one writes in ten minutes to put a booster behind HTTP."""

import flask
import numpy as np
import xgboost as xgb


def create_app(model_file: str) -> flask.Flask:
    """A Flask application that predicts one CSV row a request; gunicorn calls this per worker."""
    app = flask.Flask(__name__)
    booster = xgb.Booster({"nthread": 1}, model_file=model_file)

    @app.get("/ping")
    def ping() -> flask.Response:
        return flask.Response()

    @app.post("/invocations")
    def invocations() -> flask.Response:
        row = np.fromstring(flask.request.get_data(as_text=True), dtype=np.float32, sep=",")
        score = booster.inplace_predict(row.reshape(1, -1))[0]
        return flask.Response(str(score), mimetype="text/csv")

    return app
