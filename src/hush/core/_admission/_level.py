"""``Level``: how many calls ``"auto"`` lets start now, as calls at a time or as starts a second, and how that grows."""

from __future__ import annotations

from math import inf

from hush.core._admission._measure import Measure
from hush.core._admission._plateau import RATE_LEAST, SHORT_HOLD_S, Plateau
from hush.core._admission._queueing import Queueing

BY_A_START = 1.05  # growth of the rate with one start, at most: there are few to learn from where the rate is low

DOUBLING, PACED, SLOTS = "doubling", "paced", "slots"


class Level:
    """What binds, and what is measured for it.

    Args:
        start: Calls at a time before anything is known.
        most: Calls at a time that are never exceeded.

    Attributes:
        most: As given.
        mode: ``"doubling"`` (no overload seen yet: calls at a time, doubled each round), ``"paced"`` (starts a second)
            or ``"slots"`` (calls at a time).
        room: Calls at a time: what binds while doubling, and among slots.
        rate: Starts a second: what binds when paced.
        cap: Calls at a time, whatever binds.
        next_s: When the pace, or the closed gate, lets the next call start.
        measure: What the server served lately.
        plateau: What is held after a cut, and how it grows.
        queueing: What is known of a queue of the server's.
    """

    __slots__ = ("cap", "measure", "mode", "most", "next_s", "plateau", "queueing", "rate", "room")

    def __init__(self, start: int, most: int) -> None:
        self.most = most
        self.mode = DOUBLING
        self.room = float(min(start, most))
        self.rate = inf
        self.cap = int(self.room)
        self.next_s = -inf
        self.measure = Measure()
        self.plateau = Plateau()
        self.queueing = Queueing()

    @property
    def probed(self) -> bool:
        """Whether it has grown past a plateau."""
        return self.mode != DOUBLING and self.plateau.probed

    @property
    def aim(self) -> float:
        """Calls at a time that it aims at now; below 1 where a rate binds that keeps less than one call in flight."""
        cap = float(self.cap)
        return min(self.rate * self.measure.latency_s, cap) if self.mode == PACED else cap

    def at_a_time(self, rate: float) -> float:
        """Calls at a time, where they start at ``rate``; an infinite one is what does not bind."""
        return self.room if rate == inf else rate * self.measure.latency_s

    def grow(self, used_s: float) -> None:
        """Go on along the curve, by a time in which the level was in full use."""
        plateau = self.plateau
        much = plateau.grow(used_s)
        if plateau.probed:
            if self.mode == PACED:
                self.rate = min(plateau.base * much, self.rate * BY_A_START)
            else:
                self.room = min(plateau.base * much, float(self.most))
            self.fit()
        elif self.mode == PACED and self.rate < plateau.base:
            self.rate = min(plateau.base, self.rate * 2**used_s)

    def fit(self) -> None:
        """Make what binds, and calls at a time, agree with each other and with what is never exceeded."""
        if self.mode == PACED:
            self.rate = min(self.rate, self.most / max(0.001, self.measure.latency_s))
        room = 2 + 2 * self.rate * self.measure.latency_s if self.mode == PACED else self.room
        self.room = min(self.room, float(self.most))
        self.cap = max(1, int(min(room, self.queueing.bound, self.most)))

    def fall_back(self, rate: float) -> None:
        """Pace starts at a rate that was not measured well."""
        self.mode = PACED
        self.rate = self.plateau.base = max(RATE_LEAST, rate)
        self.plateau.hold_s = SHORT_HOLD_S
