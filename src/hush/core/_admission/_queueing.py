"""``Queueing``: how many calls in flight are of use, where a server lets calls wait in line instead of refusing them.

By Little's law, throughput is calls in flight divided by latency. While more in flight leave the latency as it is, they
are of use; once latency grows in proportion, they only stand in the server's queue. So latencies are averaged for each
octave of in-flight (up to 15, 16–31, 32–63, …); twice the average of the octaves below gives rise to a suspicion.

That proves nothing by itself: the work may have become heavier, which no limit can help. What decides is
an experiment, as BBR makes one to see the round trip without a queue (its ProbeRTT). The bound is halved for a round.
If latency stays, it was the work, and everything is as before, with this latency as the one to compare with. If it
falls, the bound is halved again until it no longer does; then with a latency of ``quiet_s`` there and ``busy_s`` at
``level`` before, ``level * quiet_s / busy_s`` calls are of use, and the bound becomes 1.5 times that.

The smallest and not the average latency of an octave would be the usual base (Vegas, BBR, gradient limits). Calls of a
workflow differ in size by orders of magnitude, so that their smallest latency tells of the smallest call.
"""

from __future__ import annotations

from math import inf

CLEAR = 16  # up to this level no question is asked
TRY_ABOVE = 2.0  # times the quiet latency: time for an experiment
GROW_BELOW = 1.15  # times the quiet latency: a bound that was found is too low now
ROOM = 1.5  # the bound, in multiples of what is of use
FELL = 0.75  # latency at half the level, relative to before, below which there was a queue
KNOWN = 1.15  # times the quiet latency: an experiment need not go further down
SETTLED = 2.0  # latencies after a halving, from which on not only the short calls of this level have ended
FIRST = 16  # calls in an average of an octave on the way up
BLOCK = 32  # calls in an average that is judged, and at least
BLOCK_OF_LEVEL = 4  # a quarter of the level
PAUSE_S = 30.0  # between two experiments, and
PAUSE_LATENCIES = 300.0  # so many latencies
ROUND_S = 0.1  # a bound grows by a quarter in a latency, and at most in this time
OCTAVES = 12


class Queueing:
    """What is known of a server's queue.

    Attributes:
        bound: How many calls at a time are of use; ``inf`` while no queue has been seen.
        may_grow: Whether nothing speaks against more in flight than now.
        experiments: How many experiments were begun.
    """

    __slots__ = (
        "_base_s",
        "_before",
        "_busy_s",
        "_count",
        "_halvings",
        "_last_s",
        "_level",
        "_low",
        "_since_s",
        "_sum_s",
        "_total_s",
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
        self._count = [0] * OCTAVES
        self._total_s = [0.0] * OCTAVES
        self._base_s = inf  # the quiet latency
        self._low = False  # whether the bound seems too low
        self._until_s = -inf  # no experiment before
        # An experiment: level, bound and latency before it; since when, how often halved, what is seen at this half.
        self._level = 0.0
        self._before = inf
        self._busy_s = 0.0
        self._last_s = 0.0
        self._since_s = inf
        self._halvings = 0
        self._sum_s = 0.0
        self._tried = 0

    def served(self, beside: int, full: bool, at_s: float, now_s: float, cap: int) -> None:
        """Learn of a call that was served.

        Args:
            beside: Calls in flight at its start, itself among them.
            full: Whether that was about as many as were allowed.
            at_s: Its start.
            now_s: Its end.
            cap: Calls allowed at a time now.
        """
        took_s = now_s - at_s
        if self._since_s < inf:
            if at_s >= self._since_s and now_s >= self._since_s + SETTLED * self._last_s:
                self._try(took_s, now_s)
            return
        octave = 4 if beside < CLEAR else min(beside.bit_length(), OCTAVES - 1)
        count = self._count[octave] = self._count[octave] + 1
        total_s = self._total_s[octave] = self._total_s[octave] + took_s
        if self._low and full:
            self.bound += min(1.0, took_s / ROUND_S) / 4
        if not full or count < BLOCK or count * BLOCK_OF_LEVEL < cap:
            return
        latency_s = total_s / count
        self._count[octave] = FIRST  # it forgets
        self._total_s[octave] = latency_s * FIRST
        self._judge(beside, octave, latency_s, now_s)

    def _judge(self, beside: int, octave: int, latency_s: float, now_s: float) -> None:
        base_s = self._base_s
        if self.bound == inf:
            # Of the lower octaves all calls have ended by now. Of this one the short ones have: that can hide a queue
            # for a while, and cannot feign one.
            count = sum(self._count[:octave])
            if count >= FIRST:
                base_s = min(base_s, sum(self._total_s[:octave]) / count)
        queued = latency_s > TRY_ABOVE * base_s and beside >= CLEAR
        self.may_grow = not queued and self.bound == inf
        self._low = self.bound < inf and latency_s < GROW_BELOW * base_s
        if now_s >= self._until_s and (queued or (self.bound < inf and not self._low)):
            self.experiments += 1
            self._base_s = base_s
            self._level, self._before, self._busy_s, self._halvings = float(beside), self.bound, latency_s, 0
            self._halve(self._level, latency_s, now_s)

    def _halve(self, level: float, latency_s: float, now_s: float) -> None:
        self._halvings += 1
        self._last_s = latency_s
        self._since_s = now_s
        self._sum_s = 0.0
        self._tried = 0
        self.bound = max(1.0, level / 2)
        self.may_grow = self._low = False

    def _try(self, took_s: float, now_s: float) -> None:
        self._sum_s += took_s
        self._tried += 1
        if self._tried < max(BLOCK, self.bound / 2):
            return
        quiet_s = self._sum_s / self._tried
        fell = quiet_s < FELL * self._last_s
        if fell and self.bound > 1 and quiet_s > KNOWN * self._base_s:
            self._halve(self.bound, quiet_s, now_s)
            return
        if self._halvings == 1 and not fell:
            self.bound = inf
            self.may_grow = True
        else:
            if not fell:  # two levels without a queue
                quiet_s = (quiet_s + self._last_s) / 2
            self.bound = max(1.0, ROOM * self._level * quiet_s / self._busy_s)
        self._base_s = quiet_s
        self._since_s = inf
        self._until_s = now_s + max(PAUSE_S, PAUSE_LATENCIES * quiet_s)
        self._count = [0] * OCTAVES
        self._total_s = [0.0] * OCTAVES
