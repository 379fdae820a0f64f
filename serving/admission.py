"""Whether one more call may wait for a model: a burst may, what is too much for ever may not.

What counts is time, not a number of calls: how long those ahead will take, at the rate at which
calls were answered lately. Two bounds on it, and the larger one holds:

- *steady*: a few times what one call costs. That keeps the model busy, and no more is of use: a
  longer queue makes every answer later and none more.
- *burst*: many times that. Each refusal takes a part of it, since only a queue that goes on growing
  comes to refusals, and the time in which the model has nothing to do gives it back.

So clients that send many requests at once and wait for the answers are not refused, however long
they keep the model busy. Where requests come faster than they can be answered, the burst is used
up within a second or so; then the queue is short, and stays short until the model has rested.
"""

import math

from serving.errors import Overloaded

STEADY_CALLS = 2.5
STEADY_SECONDS = 0.002
"""Waiting that is always allowed: so many times what a call alone costs, and at least this, since
shorter waits are lost in the noise of a busy machine."""

BURST_CALLS = 100
BURST_SECONDS = 0.1
"""Waiting that is allowed in a burst: what so many calls take, and at least this. AWS's toolkits
let 100 calls wait."""

REFUSAL = 0.9
"""What a refusal leaves of the burst."""

REST = 0.1
"""What a second of rest gives back, in seconds. A client that was held up for a moment in the midst
of an overload must not look like one."""

WEIGHT = 0.2
"""Of the latest measurement in the averages."""

MAX_RETRY_SECONDS = 60
"""Longest wait that a refused client is told, however slow the model has been."""


class Gate:
    """The admission to one place where calls wait for a model."""

    __slots__ = ("_burst", "_free_since", "_full", "_most", "_steady", "alone", "rate", "room")

    def __init__(self, most: float = math.inf, steady: float = STEADY_SECONDS) -> None:
        """Make it open for ``most`` calls: until a first was answered, nothing else is known.

        Waiting for ``steady`` seconds is always allowed.
        """
        self.alone = 0.0
        """What a call costs that is not stacked with others, in seconds; 0 if not known."""
        self.rate = 0.0
        """Calls answered a second; 0 if not known."""
        self.room = most
        """Most calls that may wait."""
        self._most = most
        self._steady = steady
        self._burst = self._full = math.inf  # in seconds
        self._free_since = -math.inf

    def admits(self, ahead: int, within: float = math.inf) -> bool:
        """Whether a call may wait for those ahead of it; it has ``within`` seconds left."""
        if ahead < self.room and (not self.rate or ahead / self.rate <= within):
            return True
        self._burst *= REFUSAL
        self._settle()
        return False

    def busy(self, now: float) -> None:
        """The model, which was free, has something to do."""
        if self._burst < self._full:
            self._burst += REST * (now - self._free_since)
            self._settle()

    def free(self, began: float, now: float, calls: int, predictions: int) -> None:
        """The model has answered calls that it ``began`` with, by so many predictions."""
        seconds = max(1e-6, now - max(began, self._free_since))
        self._free_since = now
        rate = calls / seconds
        self.rate = self.rate + WEIGHT * (rate - self.rate) if self.rate else rate
        cost = seconds / max(1, predictions)
        if not self.alone:
            self.alone = cost
        # What is faster than a call alone shows that this was slow by accident, as first calls are.
        elif predictions >= calls or cost < self.alone:
            self.alone += WEIGHT * (cost - self.alone)
        self._full = max(BURST_SECONDS, BURST_CALLS / self.rate)
        self._settle()

    def _settle(self) -> None:
        self._burst = min(self._burst, self._full)
        seconds = max(self._burst, self._steady, STEADY_CALLS * self.alone)
        if self.rate:
            self.room = min(1.0 + seconds * self.rate, self._most)


def overloaded(waiting: int, rate: float) -> Overloaded:
    """The refusal of a call that would wait for so many, of which ``rate`` are answered a second.

    It says when to come back; 0 is a rate that is not known.
    """
    error = Overloaded(f"{waiting} requests wait for the model already; try again.")
    wait = math.ceil(waiting / rate) if rate else 1
    error.headers = (("retry-after", str(min(max(1, wait), MAX_RETRY_SECONDS))),)
    return error
