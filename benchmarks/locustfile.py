"""The scenarios for those who use Locust: the same stages, payloads and models.

    pip install locust
    python -m benchmarks.scenarios --serve overload
    SCENARIO=overload python -m locust -f benchmarks/locustfile.py --host http://127.0.0.1:8080

The second command starts the server that the scenario is about, and says where it is; any other
server may be asked instead. Locust's users wait for their answers: a server that stands still is
asked nothing meanwhile. `serving bench` has open loops.
"""

import os
import random
import time
from pathlib import Path

from locust import FastHttpUser, LoadTestShape, events, task

from benchmarks.scenarios import models, pace, scenario
from benchmarks.scenarios.pace import Step
from benchmarks.scenarios.scenario import Variant
from benchmarks.throughput.workload import FEATURES
from serving.bench import payloads
from serving.bench.target import zipf

PLAN = pace.stages(scenario.read(os.environ.get("SCENARIO", "single")))

FILES = [Path(name) for name in os.environ.get("PAYLOADS", "").split(os.pathsep) if name]
"""Sent by turns in place of the scenario's rows, where the variable PAYLOADS names files."""

MODELS = [name for name in os.environ.get("MODELS", "").split(",") if name]
"""Asked in place of the scenario's, where the variable MODELS names some."""


def bodies(variant: Variant) -> list[tuple[bytes, str]]:
    """What is sent, with its media type."""
    media_type = os.environ.get("CONTENT_TYPE", "" if FILES else variant.content_type)
    return payloads.all_of(FILES, variant.rows, FEATURES, media_type, 1)


def names(variant: Variant) -> tuple[list[str], list[float]]:
    """The models that are asked, and how often each is."""
    found = MODELS or list(models.names(variant.model)) or [""]
    return found, zipf(len(found), variant.zipf)


BODIES = {variant.name: bodies(variant) for variant, _ in PLAN}
NAMES = {variant.name: names(variant) for variant, _ in PLAN}


def step() -> Step | None:
    """What goes on now; None: the test is over."""
    return pace.step_at(PLAN, time.monotonic() - User.began)


class User(FastHttpUser):  # type: ignore[misc]  # Locust has no types
    """Asks for predictions: in a closed loop at once, in an open one about once a second."""

    began = 0.0
    """When the test was started."""

    def on_start(self) -> None:
        """Begin at a time of its own, so that the users of a rate do not ask all at once."""
        self.due = time.monotonic()
        time.sleep(self.wait_time())

    def wait_time(self) -> float:
        """Seconds to the next request; those of all users together are a Poisson process."""
        now, current = time.monotonic(), step()
        if current is None or not current.stage.open:
            return 0.0
        self.due = max(self.due + random.expovariate(1), now)
        return self.due - now

    @task  # type: ignore[untyped-decorator]
    def predict(self) -> None:
        """One request of the stage that goes on."""
        current = step()
        if current is None:
            return
        body, content_type = random.choice(BODIES[current.variant.name])
        found, weights = NAMES[current.variant.name]
        (model,) = random.choices(found, weights)
        fields = {"content-type": content_type, "x-amzn-sagemaker-target-model": model}
        headers = {name: value for name, value in fields.items() if value}
        self.client.post("/invocations", data=body, headers=headers, name=current.name)


class Stages(LoadTestShape):  # type: ignore[misc]
    """As many users as the scenario says."""

    def tick(self) -> tuple[int, float] | None:
        """How many users there are to be now, and how many may begin in a second."""
        current = pace.step_at(PLAN, self.get_run_time())
        return None if current is None else (current.users, float(current.users))


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(**_: object) -> None:
    """Note when the test was started."""
    User.began = time.monotonic()
