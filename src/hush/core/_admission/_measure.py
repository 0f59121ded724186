"""``Measure``: how many calls a second a server served lately, and how long its answers and its refusals take."""

from __future__ import annotations

from collections import deque
from math import inf

SHORTEST_S = 1.0
LATENCY_MOST_S = 10.0  # the memory is at least a latency long, up to this
STARTS = 4.0  # and holds so many starts
STARTS_MOST_S = 30.0  # but is no longer than this for it


class Measure:
    """The starts of the last ``memory_s``, and which of them were refused.

    Attributes:
        memory_s: How far back it looks.
        latency_s: How long a call that is served takes, averaged over about twenty.
        refusal_s: How long a refusal takes, averaged over about four.
        any_served: Whether a call was served, ever.
    """

    __slots__ = ("_complete_s", "_starts", "_wasted", "any_served", "latency_s", "memory_s", "refusal_s")

    def __init__(self) -> None:
        self.memory_s = SHORTEST_S
        self.latency_s = 0.0
        self.refusal_s = 0.02
        self.any_served = False
        self._starts: deque[float] = deque()
        self._wasted: deque[float] = deque()
        self._complete_s = inf  # since when all starts are known

    def started(self, now_s: float) -> None:
        """A call starts."""
        before_s = now_s - self.memory_s - self.refusal_s
        starts = self._starts
        starts.append(now_s)
        while starts[0] <= before_s:
            starts.popleft()
        if before_s > self._complete_s:
            self._complete_s = before_s
        elif self._complete_s == inf:
            self._complete_s = now_s

    def served(self, took_s: float) -> None:
        """A call was served."""
        self.latency_s += (took_s - self.latency_s) * (0.05 if self.any_served else 1.0)
        self.any_served = True
        if self.memory_s < self.latency_s:
            self.memory_s = min(LATENCY_MOST_S, self.latency_s)

    def refused(self, at_s: float, took_s: float) -> None:
        """A call that started at ``at_s`` was refused."""
        self.withdrawn(at_s)
        self.refusal_s += (min(took_s, 5.0) - self.refusal_s) / 4

    def withdrawn(self, at_s: float) -> None:
        """A call that started at ``at_s`` was not served either, and says nothing of how long refusals take."""
        self._wasted.append(at_s)

    def forget(self, now_s: float) -> None:
        """Measure anew from here on: what was before tells nothing of what is to come."""
        self._starts.clear()
        self._wasted.clear()
        self._complete_s = now_s

    def look_back(self, rate: float) -> None:
        """Choose how far back to look, where calls start at ``rate`` a second."""
        self.memory_s = max(SHORTEST_S, min(LATENCY_MOST_S, self.latency_s), min(STARTS_MOST_S, STARTS / rate))

    def is_whole(self, at_s: float) -> bool:
        """Whether all of the memory before ``at_s`` is known."""
        return at_s - self._complete_s >= self.memory_s

    def made_per_s(self, until_s: float) -> float:
        """Starts a second, as the last ones were that are known."""
        return len(self._starts) / max(0.02, min(self.memory_s, until_s - self._complete_s))

    def per_s(self, until_s: float) -> float:
        """Starts a second, before ``until_s``, that were not refused."""
        from_s = until_s - self.memory_s
        starts, wasted = self._starts, self._wasted
        while starts and starts[0] <= from_s:
            starts.popleft()
        while wasted and wasted[0] <= from_s:
            wasted.popleft()
        good = len(starts)
        for at_s in reversed(starts):
            if at_s < until_s:
                break
            good -= 1
        good -= sum(at_s < until_s for at_s in wasted)
        return max(0, good) / min(self.memory_s, max(SHORTEST_S, until_s - self._complete_s))
