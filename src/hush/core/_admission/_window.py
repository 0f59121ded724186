"""Rates, exactly: ``Window`` counts what started in the last period, ``Pace`` keeps starts apart.

A server counts when calls arrive, and that is later than they start here: at the latest when they end. So what starts
at ``s`` and takes ``d`` leaves a window of ``p`` seconds not at ``s + p`` but at ``s + p + min(d, 3 % of p)``. Of more
than ``most`` calls, the last can then only start when another has left, so no sooner than ``p`` after the arrival of
that one, if it took no longer than 3 % of ``p``: the server sees at most ``most`` arrivals in any ``p`` seconds,
half-open. As long as a call is under way it counts as one that takes longer; one that still is when ``p`` is over has
taken longer than 3 %. Entries leave in the order in which they came, each at most 3 % late, which makes every step
cost O(1) and loses less than 3 % of the rate.
"""

from __future__ import annotations

import math
from collections import deque

SLACK = 0.03
"""The share of a period by which an entry may stay longer."""


class Entry:
    """What one call takes of one window, from its start until it leaves."""

    __slots__ = ("amount", "gone", "leaves_s", "start_s")

    def __init__(self, start_s: float, leaves_s: float, amount: int) -> None:
        self.start_s = start_s
        self.leaves_s = leaves_s
        self.amount = amount
        self.gone = False


class Window:
    """At most ``most`` in any ``period_s`` seconds: of starts, or of tokens.

    Attributes:
        held: How much is set aside for those who come first but must wait for something else as well.
    """

    __slots__ = ("_entries", "_slack_s", "_used", "held", "most", "period_s")

    def __init__(self, most: float, period_s: float) -> None:
        self.most = most
        self.period_s = period_s
        self.held = 0
        self._slack_s = SLACK * period_s
        self._entries: deque[Entry] = deque()
        self._used = 0

    def until_s(self, amount: int, now_s: float) -> float:
        """When ``amount`` may fit: now if it does; else a time before which it does not; infinite if that is unknown.

        More than ``most`` fits when nothing else is there: it would never otherwise.
        """
        self._expire(now_s)
        if self._used + self.held + min(amount, self.most) <= self.most:
            return now_s
        return self._entries[0].leaves_s if self._entries else math.inf

    def fits_at_s(self, amount: int, now_s: float) -> float:
        """When ``amount`` will fit if nothing else starts and what is under way takes long: for people who ask."""
        self._expire(now_s)
        over, at_s = self._used + min(amount, self.most) - self.most, now_s
        for entry in self._entries:
            if over <= 0:
                break
            over -= entry.amount
            at_s = max(at_s, entry.leaves_s)
        return at_s

    def _expire(self, now_s: float) -> None:
        entries = self._entries
        while entries and entries[0].leaves_s <= now_s:
            entry = entries.popleft()
            entry.gone = True
            self._used -= entry.amount

    def enter(self, amount: int, now_s: float) -> Entry:
        """A call starts that takes ``amount``."""
        entry = Entry(now_s, now_s + self.period_s + self._slack_s, amount)
        self._entries.append(entry)
        self._used += amount
        return entry

    def end(self, entry: Entry, now_s: float, amount: int) -> None:
        """The call has ended and has really taken ``amount``."""
        if entry.gone:
            return
        entry.leaves_s = entry.start_s + self.period_s + min(now_s - entry.start_s, self._slack_s)
        self._used += amount - entry.amount
        entry.amount = amount

    def undo(self, entry: Entry) -> None:
        """The call never started."""
        if not entry.gone:
            self._used -= entry.amount
            entry.amount = 0
            entry.leaves_s = -math.inf


class Pace:
    """A token bucket: at most ``burst`` starts at one instant, then one in each ``interval_s``.

    Kept as the one number that the generic cell rate algorithm (ITU-T I.371) needs, the time at which the bucket will
    be full again. So the time at which the next may start is compared as it was computed: no refill is rounded away.
    """

    __slots__ = ("_full_s", "_interval_s", "_spread_s")

    def __init__(self, burst: int, interval_s: float) -> None:
        self._interval_s = interval_s
        self._spread_s = (burst - 1) * interval_s
        self._full_s = -math.inf

    def until_s(self, now_s: float, held: int) -> float:
        """When one more may start, behind ``held`` others."""
        if held:
            return max(self._full_s, now_s) + held * self._interval_s - self._spread_s
        return self._full_s - self._spread_s

    def start(self, now_s: float) -> float:
        """A call starts. What is given goes to ``undo``."""
        self._full_s = max(self._full_s, now_s) + self._interval_s
        return self._full_s

    def undo(self, full_s: float) -> None:
        """A call that was to start did not. It gives back what it took if it was the last.

        If others have started since, what it took may have been refilled before they did: then it is not given back,
        since that could be one too many, and the next start comes later by one interval at most.
        """
        if self._full_s == full_s:
            self._full_s -= self._interval_s
