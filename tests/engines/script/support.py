"""Scripts in a model directory, what their models answer, and an engine's model under them."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import torch

from serving import media
from serving.engines import programs, script
from serving.model import Model, Native
from serving.settings import Settings
from serving.values import Payload, Prediction, Request, Response

JSON = {"content-type": "application/json"}


def write(folder: Path, source: str, name: str = "inference.py") -> Path:
    program = folder / "code" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(dedent(source))
    return folder


def serve(
    folder: Path, source: str, model: Model | None = None, settings: Settings | None = None
) -> Model:
    settings = settings or Settings()
    write(folder, source)
    program = programs.find(folder, settings)
    assert program is not None
    return script.override(model, script.load(program, folder), folder, settings)


def ask(
    model: Model, body: bytes | str = b"[[1, 2]]", headers: dict[str, str] | None = None
) -> Response:
    raw = body.encode() if isinstance(body, str) else body
    request = Request("POST", "/invocations", JSON if headers is None else headers, raw)
    accept = request.headers.get("accept", "")
    accept = media.choose(accept, model.writes) if model.writes else accept
    return model.encode(model.predict(model.decode(request)), accept, request)


def answer(
    model: Model, body: bytes | str = b"[[1, 2]]", headers: dict[str, str] | None = None
) -> Any:
    response = ask(model, body, headers)
    assert response.status == 200
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


class Doubler(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


class Recorder:
    """An engine's model of arrays, stacked by its engine."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def model(self) -> Model:
        return Model(
            engine="fake",
            decode=lambda request: self.payload(np.array(json.loads(request.body))),
            predict=self.predict,
            encode=lambda prediction, accept, _: Response(
                200, json.dumps(prediction.outputs["y"].tolist()).encode(), accept
            ),
            reads=("application/json",),
            writes=("application/json",),
            native=Native(
                model=lambda: "library",
                payload=self.payload,
                argument=lambda data: data["x"],
                result=lambda outputs: outputs["y"],
            ),
        )

    @staticmethod
    def payload(value: Any) -> Payload:
        return Payload({"x": np.asarray(value)}, len(value), "rows")

    def predict(self, payload: Payload) -> Prediction:
        self.batches.append(len(payload.data["x"]))
        return Prediction({"y": payload.data["x"] * 2})
