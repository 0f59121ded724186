"""``Plateau``: the level that is held after a cut, for how long, and how it grows after that to find the ceiling.

The level is held for 6.5 s, then grows by 1 + 0.3 t³, and exponentially where that falls behind: the flat top and the
acceleration of CUBIC (RFC 9438). Where the ceiling was not measured well the hold is 1 s.

Where refusals ask for a pause (``Retry-After``), each look for the ceiling costs that pause, while a capacity that has
come back must be found in 10 s, or in 5 pauses if that is longer. So the hold is what the pause and the growth to five
times the level leave of that; and as much longer as the ceiling has stood for more than a minute, up to 39 pauses. What
changes often is looked at often, what does not is left alone.

A pause also fills a bucket. What it had saved up is let through on top of the rate, and the less time has passed since
the pause, the more it shows: a plateau that is refused without having grown is cut by more then.
"""

from __future__ import annotations

from math import exp, inf

KEEP = 0.97  # of what was served, after a probe upwards found the ceiling
KEEP_LESS = 0.95  # of what was served, where even the plateau was too high
SAVED_S = 0.25  # what a bucket may have saved up in a pause, in the time that it takes to refill; but keep at least
KEEP_LEAST = 0.8
SAME = 0.08  # what two measures of one ceiling may differ by

HOLD_S = 6.5  # below a ceiling that was measured
SHORT_HOLD_S = 1.0  # below one that was not
HOLD_STARTS = 16  # and at least so many starts, but for that no longer than
HOLD_STARTS_MOST_S = 20.0
HOLD_MOST_S = 120.0
FOUND_S = 10.0  # with pauses: a capacity that has come back is found in this time, or in
FOUND_PAUSES = 5.0  # so many pauses
RAMP_S = 3.2  # to grow five times as large, and until that shows
STANDS_S = 60.0  # a ceiling that has stood for longer is looked for that much later
LONGEST_PAUSES = 39.0  # that a hold takes, at most

PAUSED = 0.25  # of a pause counts as growth, where refusals come by chance

# Growth: 1 + STEEP t³ up to BEND_S, where that is steepest on a log scale; then exponential.
STEEP = 0.3
BEND_S: float = (2 / STEEP) ** (1 / 3)
BENT: float = 1 + STEEP * BEND_S**3
BEND_SLOPE: float = 3 * STEEP * BEND_S**2 / BENT

RATE_LEAST = 1 / 30  # starts a second


class Plateau:
    """The curve after a cut.

    Attributes:
        base: The plateau: starts a second, or calls at a time.
        hold_s: How long it is held, of
        grown_s: the time in which the level was in full use since.
    """

    __slots__ = ("_ceiling", "_paused_until_s", "_since_s", "_too_much", "base", "grown_s", "hold_s")

    def __init__(self) -> None:
        self.base = 0.0
        self.hold_s = 0.0
        self.grown_s = 0.0
        self._ceiling = 0.0  # the plateau below the last ceiling that was measured
        self._paused_until_s = -inf
        self._since_s = 0.0  # how long that has been about the same
        self._too_much = inf  # the plateau that was refused without having grown, where that cost a pause

    @property
    def probed(self) -> bool:
        """Whether the level has grown past the plateau."""
        return self.grown_s > self.hold_s

    def grow(self, used_s: float) -> float:
        """Count a time in which the level was in full use; gives how many times the plateau the level is to be now."""
        self.grown_s += used_s
        over_s = self.grown_s - self.hold_s
        if over_s <= 0:
            return 1.0
        if over_s <= BEND_S:
            return 1 + STEEP * over_s**3
        return BENT * exp(min(50.0, BEND_SLOPE * (over_s - BEND_S)))

    def pause(self, now_s: float, pause_s: float) -> None:
        """Count a pause that is no sign of too much: the plateau was held, and growth goes on after it, but slowly."""
        until_s = now_s + pause_s
        new_s, self._paused_until_s = until_s - max(now_s, self._paused_until_s), max(until_s, self._paused_until_s)
        held_s = min(max(0.0, self.hold_s - self.grown_s), new_s)
        self.grown_s += held_s + max(0.0, new_s - held_s) * PAUSED

    def lower(self, known: float, *, probed: bool, refill_s: float | None) -> None:
        """The plateau becomes a rate, a little below one that got through.

        Args:
            known: That rate.
            probed: Whether the ceiling was looked for; if not, even the plateau was too high.
            refill_s: The time since the last pause, if what got through may contain what was saved up in it.
        """
        keep = KEEP if probed else KEEP_LESS
        if refill_s is not None:
            keep = min(keep, max(KEEP_LEAST, 1 - SAVED_S / refill_s))
        self.base = max(RATE_LEAST, known * keep)

    def compare(self, before: float, *, probed: bool, sign_of_slots: bool) -> bool:
        """After a pause: learn from the plateau before; gives whether the ceiling counts as measured by it."""
        if not probed and not sign_of_slots:
            self._too_much = min(self._too_much, before)
            return True
        if probed and abs(self.base / self._too_much - 1) <= SAME:
            self.base = KEEP_LESS * self._too_much  # what was saved up in the pause was measured too
        else:
            self._too_much = inf
        return not sign_of_slots and abs(self.base / before - 1) <= SAME

    def settle(self, now_s: float, *, measured: bool, retry_after_s: float, paced: bool) -> None:
        """Begin to hold the plateau.

        Args:
            now_s: The time.
            measured: Whether the ceiling above it was measured well.
            retry_after_s: The pause that was asked for, or 0.
            paced: Whether it is a rate.
        """
        if measured:
            self.hold_s = self._hold_s(now_s, retry_after_s)
        else:
            self.hold_s = SHORT_HOLD_S + min(HOLD_MOST_S, retry_after_s)
        if paced:
            self.hold_s = max(self.hold_s, min(HOLD_STARTS / self.base, HOLD_STARTS_MOST_S))
        self.grown_s = 0.0

    def _hold_s(self, now_s: float, retry_after_s: float) -> float:
        if not (self._ceiling and abs(self.base / self._ceiling - 1) <= SAME):
            self._since_s = now_s
        self._ceiling = self.base
        if not retry_after_s:
            return HOLD_S
        found_s = max(FOUND_S, FOUND_PAUSES * retry_after_s)
        later_s = max(0.0, now_s - self._since_s - STANDS_S)
        return min(found_s - retry_after_s - RAMP_S + later_s, LONGEST_PAUSES * retry_after_s, HOLD_MOST_S)
