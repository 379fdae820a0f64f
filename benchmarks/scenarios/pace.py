"""A scenario as users of Locust ask it: how many there are when, and what they ask.

Locust knows closed loops only. A rate is so many users each of whom asks once a second, if the
answer comes that soon; the rate falls where it does not.
"""

import math
from typing import NamedTuple

from benchmarks.scenarios.scenario import Scenario, Variant
from benchmarks.throughput import BenchmarkError
from serving.bench.plan import Stage


class Step(NamedTuple):
    """What goes on at a moment."""

    variant: Variant
    stage: Stage
    users: int

    @property
    def name(self) -> str:
        """What the requests are called in Locust's tables."""
        load = self.stage.about if self.stage.counts else "warm-up"
        return f"{self.variant.name}: {load}" if self.variant.name else load


def stages(given: Scenario) -> list[tuple[Variant, Stage]]:
    """The stages of all variants, one after the other, each variant's warm-up first.

    Raises:
        BenchmarkError: the scenario is no load.
    """
    found = [
        (variant, stage)
        for variant in given.variants
        for stage in (variant.warm_up, *variant.stages)
        if variant.stages
    ]
    if not found:
        raise BenchmarkError(
            f"{given.name} is no load: only python -m benchmarks.scenarios runs it."
        )
    return found


def step_at(plan: list[tuple[Variant, Stage]], seconds: float) -> Step | None:
    """What goes on so many seconds after the start; None: it is over."""
    for variant, stage in plan:
        if seconds < stage.seconds:
            rate = stage.rate + (stage.end_rate - stage.rate) * seconds / stage.seconds
            users = math.ceil(rate) if stage.open else stage.connections
            return Step(variant, stage, max(1, users))
        seconds -= stage.seconds
    return None
