"""Latencies in buckets whose bounds grow by 2 %, so that every percentile is that exact."""

import math
from collections import Counter
from collections.abc import Iterator

SHORTEST = 1e-6
"""Seconds; what is shorter counts as this long."""

_SCALE = 1 / math.log(1.02)


class Histogram:
    """Counts of durations in seconds."""

    __slots__ = ("buckets", "longest", "shortest", "total")

    def __init__(self) -> None:
        self.buckets: Counter[int] = Counter()
        """Counts by the number of the bucket."""
        self.total = 0
        """How many were recorded."""
        self.shortest = math.inf
        self.longest = 0.0

    def record(self, seconds: float) -> None:
        """Count a duration."""
        self.buckets[int(math.log(max(seconds, SHORTEST) / SHORTEST) * _SCALE)] += 1
        self.total += 1
        self.shortest = min(self.shortest, seconds)
        self.longest = max(self.longest, seconds)

    def add(self, other: "Histogram") -> None:
        """Count all that another has."""
        self.buckets.update(other.buckets)
        self.total += other.total
        self.shortest = min(self.shortest, other.shortest)
        self.longest = max(self.longest, other.longest)

    def percentile(self, percent: float) -> float:
        """The duration in seconds that so many percent do not exceed; 0 of none."""
        wanted = max(1, math.ceil(self.total * percent / 100))
        for share, seconds in self._cumulated():
            if share >= wanted:
                return seconds
        return 0.0

    def curve(self) -> list[tuple[float, float]]:
        """Pairs of a percentage and the duration in seconds that it does not exceed."""
        return [(100 * count / self.total, seconds) for count, seconds in self._cumulated()]

    def _cumulated(self) -> Iterator[tuple[int, float]]:
        count = 0
        for bucket in sorted(self.buckets):
            count += self.buckets[bucket]
            # The middle of the bucket, within what was seen.
            middle = SHORTEST * math.exp((bucket + 0.5) / _SCALE)
            yield count, min(max(middle, self.shortest), self.longest)
