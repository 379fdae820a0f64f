"""Requests to a batcher whose model is a fake."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from serving.batching import Batcher, Cost
from serving.call import Call
from serving.model import Model
from serving.values import Request, Response
from tests.support import Recorder, post

CHEAP, DEAR = Cost(0.0, 1e-6), Cost(1.0, 0.0)
OVERDUE = 0.02
"""Time a request has that will not be answered in time, in seconds."""


class Desk:
    """Submits requests to a batcher."""

    def __init__(self, model: Model, cost: Cost, *, max_rows: int = 1000, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        options = {"max_queue": 1000} | options
        self.batcher = Batcher(model, cost, loop, max_rows=max_rows, **options)
        self._model = model

    def submit(self, *numbers: float, key: str = "", within: float | None = None) -> Recorder:
        """Ask for numbers to be doubled, within some seconds."""
        deadline = float("inf") if within is None else time.monotonic() + within
        body = "\n".join(map(str, numbers)).encode()
        return self.send(post(body, deadline, key=key))

    def send(self, request: Request, reply: Recorder | None = None) -> Recorder:
        reply = reply or Recorder()
        call = Call(request, "text/plain", reply)
        if "decode" not in self._model.foreign:
            call.payload = self._model.decode(request)
        self.batcher.submit(call)
        return reply


DeskOf = Callable[..., Desk]


def lines(response: Response) -> list[float]:
    """The numbers of a good answer."""
    assert response.status == 200, response
    assert isinstance(response.body, bytes)
    return [float(line) for line in response.body.splitlines()]


def message(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return str(json.loads(response.body)["message"])
