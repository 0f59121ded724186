"""``Queueing``: how many calls in flight are of use, where a server lets calls wait in line instead of refusing them.

By Little's law, throughput is calls in flight divided by latency. While more in flight leave the latency as it is, they
are of use; once latency grows in proportion, they only stand in the server's queue. So latencies are averaged for each
octave of in-flight (1, 2–3, 4–7, …), and the lowest average is the latency without a queue.

An average above it proves nothing by itself: the work may have become heavier, which no limit can help. What decides is
an experiment, as BBR makes one to see the round trip without a queue (its ProbeRTT). The bound is halved for a round.
If latency stays, it was the work, and everything is as before, with this latency as the one to compare with. If it
falls, the bound is halved again until it no longer does; then with a latency of ``quiet_s`` there and ``busy_s`` at
``level`` before, ``level * quiet_s / busy_s`` calls are of use, and the bound becomes 1.5 times that.

The smallest and not the average latency of an octave would be the usual base (Vegas, BBR, gradient limits). Calls of a
workflow differ in size by orders of magnitude, so that their smallest latency tells of the smallest call.
"""

from __future__ import annotations

from math import inf

GROW_BELOW = 1.5  # times the quiet latency: more in flight are still of use
TRY_ABOVE = 2.0  # times the quiet latency: time for an experiment
ROOM = 1.5  # the bound, in multiples of what is of use
FELL = 0.75  # latency at half the level, relative to before, below which there was a queue
SAMPLES_MOST = 32  # an average forgets at this rate
SAMPLES_LEAST = 16
PAUSE_S = 20.0  # between two experiments, and
PAUSE_LATENCIES = 100.0  # so many latencies
DOUBLING_S = 0.1  # a bound that proves too low doubles in a latency, and at most in this time
OCTAVES = 12


class Queueing:
    """What is known of a server's queue.

    Attributes:
        bound: How many calls at a time are of use; ``inf`` while no queue has been seen.
        may_grow: Whether more in flight than now are likely to be of use.
        experiments: How many experiments were begun.
    """

    __slots__ = (
        "_base_s",
        "_busy_s",
        "_count",
        "_halvings",
        "_latency_s",
        "_level",
        "_since_s",
        "_sum_s",
        "_tried",
        "_until_s",
        "bound",
        "experiments",
        "may_grow",
    )

    def __init__(self) -> None:
        self.bound = inf
        self.may_grow = True
        self.experiments = 0
        self._latency_s = [0.0] * OCTAVES
        self._count = [0] * OCTAVES
        self._base_s = inf
        self._until_s = -inf  # no experiment before
        # An experiment: the level and latency before it, since when, how often halved, and what was seen at this level.
        self._level = 0.0
        self._busy_s = 0.0
        self._since_s = inf
        self._halvings = 0
        self._sum_s = 0.0
        self._tried = 0

    @property
    def trying(self) -> bool:
        """Whether an experiment is under way."""
        return self._since_s < inf

    def served(self, beside: int, at_s: float, now_s: float, cap: int) -> None:
        """Learn of a call that was served: ``beside`` in flight at its start, itself among them, with ``cap`` allowed."""
        took_s = now_s - at_s
        if self._since_s < inf:
            if at_s >= self._since_s:
                self._try(took_s, now_s)
            return
        octave = min(beside.bit_length(), OCTAVES - 1)
        count = self._count[octave] = min(self._count[octave] + 1, SAMPLES_MOST)
        latency_s = self._latency_s[octave]
        self._latency_s[octave] = latency_s = latency_s + (took_s - latency_s) / count
        if count < SAMPLES_LEAST:
            return
        if latency_s < self._base_s:
            self._base_s = latency_s
        if beside * 4 < cap * 3:  # not in use to the full: says nothing of the bound
            return
        self.may_grow = latency_s <= GROW_BELOW * self._base_s
        if self.may_grow:
            if self.bound < inf and beside + 1 >= self.bound:
                self.bound += min(1.0, took_s / DOUBLING_S)
        elif count == SAMPLES_MOST and now_s >= self._until_s:
            if latency_s > TRY_ABOVE * self._base_s or self._until_s > -inf:
                self._begin(float(cap), latency_s, now_s)

    def _begin(self, level: float, busy_s: float, now_s: float) -> None:
        self.experiments += 1
        self._level = level
        self._busy_s = busy_s
        self._halvings = 0
        self._halve(level, now_s)

    def _halve(self, level: float, now_s: float) -> None:
        self._halvings += 1
        self.bound = max(1.0, level / 2)
        self._since_s = now_s
        self._sum_s = 0.0
        self._tried = 0

    def _try(self, took_s: float, now_s: float) -> None:
        self._sum_s += took_s
        self._tried += 1
        if self._tried < max(SAMPLES_LEAST, self.bound / 2):
            return
        quiet_s = self._sum_s / self._tried
        before_s = self._busy_s if self._halvings == 1 else self._base_s
        if quiet_s < FELL * before_s and self.bound > 1:
            self._base_s = quiet_s
            self._halve(self.bound, now_s)
            return
        if self._halvings == 1 and quiet_s >= FELL * before_s:
            self.bound = inf if self._level > 1 else self.bound
        else:
            quiet_s = min(quiet_s, before_s)
            self.bound = max(1.0, ROOM * self._level * quiet_s / self._busy_s)
        self._base_s = quiet_s
        self._since_s = inf
        self._until_s = now_s + max(PAUSE_S, PAUSE_LATENCIES * self._busy_s)
        self._latency_s = [0.0] * OCTAVES
        self._count = [0] * OCTAVES
        self.may_grow = True
