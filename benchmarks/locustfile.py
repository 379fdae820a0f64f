"""The load of the scenario *single* for those who use Locust.

    pip install locust
    locust --locustfile benchmarks/locustfile.py --host http://127.0.0.1:8080

Each user asks again when it has its answer: a closed loop, in which a server that stands still is
asked nothing meanwhile. `serving bench` has open loops.
"""

import os
from itertools import cycle
from pathlib import Path

from locust import FastHttpUser, constant, task

from serving.bench import payloads

COLUMNS = 30

FILES = [Path(name) for name in os.environ.get("PAYLOADS", "").split(os.pathsep) if name]
"""What is sent, by turns; rows that are made up where the variable PAYLOADS names no file."""

MODELS = [name for name in os.environ.get("MODELS", "").split(",") if name] or [""]
"""Models of a server of many, asked by turns."""


class Client(FastHttpUser):  # type: ignore[misc]  # Locust has no types
    """Asks for predictions, one after the other."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Prepare the requests."""
        bodies = payloads.all_of(FILES, 1, COLUMNS, os.environ.get("CONTENT_TYPE", ""), 1)
        self.bodies = cycle(bodies)
        self.models = cycle(MODELS)

    @task  # type: ignore[untyped-decorator]
    def predict(self) -> None:
        """One request."""
        body, content_type = next(self.bodies)
        fields = {"content-type": content_type, "x-amzn-sagemaker-target-model": next(self.models)}
        headers = {name: value for name, value in fields.items() if value}
        self.client.post("/invocations", data=body, headers=headers)
