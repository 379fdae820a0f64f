"""What a load generator has seen: latencies, statuses and failures, by stage and by second."""

from collections import Counter

from serving.bench.histogram import Histogram
from serving.bench.plan import Stage


class Second:
    """What was due within one second."""

    def __init__(self) -> None:
        self.due = 0
        self.errors = 0
        self.latencies = Histogram()


class Recorder:
    """Counts of one stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.due = 0
        """Requests that were to be sent."""
        self.statuses: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        """Kinds of failures of requests that have no response."""
        self.latencies = Histogram()
        """Of good answers, in seconds from when their requests were due."""
        self.refusals = Histogram()
        """Of all other answers."""
        self.seconds: list[Second] = []

    def sent(self, due: float) -> None:
        """A request was due at that time, in seconds from the start of the stage."""
        self.due += 1
        self._second(due).due += 1

    def answered(self, due: float, seconds: float, status: int) -> None:
        """It was answered so many seconds after."""
        self.statuses[status] += 1
        second = self._second(due)
        if 200 <= status < 300:
            self.latencies.record(seconds)
            second.latencies.record(seconds)
        else:
            self.refusals.record(seconds)
            second.errors += 1

    def failed(self, due: float, kind: str) -> None:
        """There was no answer."""
        self.failures[kind] += 1
        self._second(due).errors += 1

    def _second(self, due: float) -> Second:
        while len(self.seconds) <= due:
            self.seconds.append(Second())
        return self.seconds[int(due)]
