"""Small modules, saved in PyTorch's formats, and what their models answer."""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from serving.engines import torch as engine
from serving.model import Model
from serving.settings import Settings
from serving.values import Request

ONE_THREAD = Settings(threads=1, workers=2)
ROW = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(8, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layers(x), -1)


class Pair(torch.nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return a + b, a * b


class Named(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"double": x * 2, "half": x / 2}


class Centred(torch.nn.Module):
    """Each row's answer depends on the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=0)


class Counter(torch.nn.Module):
    """Each answer depends on the calls before."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + self.calls


class TakesDict(torch.nn.Module):
    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return batch["x"] * 2


class Embeds(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(10, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.table(tokens)
        return vectors.sum(1)


class Positive(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert bool((x > 0).all()), "a value is negative"
        return x


class Half(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.bfloat16)


def script(path: Path, module: torch.nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript itself
        torch.jit.save(torch.jit.script(module), path)
    return path


def export(
    path: Path,
    module: torch.nn.Module,
    *arguments: torch.Tensor,
    dynamic: Any = None,
) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), arguments, dynamic_shapes=dynamic)
        torch.export.save(program, path)
    return path


def load(path: Path, settings: Settings = ONE_THREAD) -> Model:
    return engine.load(engine.files(path.parent), settings)


def request(body: str | bytes, content_type: str = "application/json") -> Request:
    raw = body.encode() if isinstance(body, str) else body
    return Request("POST", "/invocations", {"content-type": content_type}, raw)


def ask(model: Model, body: str | bytes, content_type: str = "application/json") -> Any:
    asked = request(body, content_type)
    response = model.encode(model.predict(model.decode(asked)), "application/json", asked)
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
