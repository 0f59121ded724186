"""``Pace``: when an activation of a map tells how far it is, and how fast its items end. Times are handed in."""

from __future__ import annotations

from math import exp

EVERY_S = 0.1
"""A map tells how far it is at most once in so many seconds."""

SMOOTHED_S = 3.0
"""After so many seconds what was counts for 1/e of what is."""


class Pace:
    """Of one activation of a map.

    Attributes:
        total: The number of its items, where it is known.
    """

    __slots__ = ("_began_s", "_told_done", "_told_s", "_weighted", "total")

    def __init__(self, now_s: float, total: int | None) -> None:
        self.total = total
        self._began_s = self._told_s = now_s
        self._told_done = 0
        self._weighted = 0.0  # as if it had been 0 for ever before the map began

    def told(self, now_s: float, done: int) -> float | None:
        """The rate if it is time to tell, after ``done`` items; ``None`` if the last time is too near.

        The exponentially weighted mean of the rates since the last telling, with what is missing of its weights, those
        of the time before the map began, made up for: a steady rate is given as it is from the first time on.
        """
        passed_s = now_s - self._told_s
        if passed_s < EVERY_S:
            return None
        now = (done - self._told_done) / passed_s
        self._weighted += (1 - exp(-passed_s / SMOOTHED_S)) * (now - self._weighted)
        self._told_s, self._told_done = now_s, done
        return self._weighted / (1 - exp((self._began_s - now_s) / SMOOTHED_S))

    def whole(self, now_s: float, done: int) -> float:
        """The rate from the beginning to the end."""
        passed_s = now_s - self._began_s
        return done / passed_s if passed_s > 0 else 0.0
