"""``Probes``: a gate that is closed because nothing but refusals came back, and the single calls that try it.

Only one probe is under way at a time, 0.1 s, 0.2 s, … 2 s after the last one was refused, for ever. One that is
served opens the gate, and so does one that is not refused within a few times what refusals take: it takes its time
because it was let in. It opens at 80 % of the plateau or, by 0.8 for each probe, down to 40 %, doubling in a second.
"""

from __future__ import annotations

from math import inf

FIRST_GAP_S = 0.1  # between two probes; doubles
GAP_MOST_S = 2.0
EACH = 0.8  # of the plateau's rate is what the gate opens with, for each probe that was made
LEAST = 0.4


class Probes:
    """The gate.

    Attributes:
        closed: Whether only single probes are let through.
        gap_s: From a refusal to the next probe.
        at_s: When the probe started that is under way; of use while ``under_way``.
        under_way: Whether one is.
        failures: How many were refused since it was closed.
    """

    __slots__ = ("at_s", "closed", "failures", "gap_s", "under_way")

    def __init__(self) -> None:
        self.closed = False
        self.gap_s = FIRST_GAP_S
        self.at_s = -inf
        self.under_way = False
        self.failures = 0

    @property
    def share(self) -> float:
        """How much of the plateau's rate to come back with."""
        return float(max(LEAST, EACH ** (1 + self.failures)))

    def waits_until_s(self, refusal_s: float) -> float:
        """Until when the answer of the probe is waited for, where refusals take ``refusal_s``."""
        return self.at_s + max(FIRST_GAP_S + 3 * refusal_s, self.gap_s / 2)

    def starts(self, now_s: float, refusal_s: float) -> bool:
        """Whether the call that starts now is a probe. If not, the one before it was let in, and takes its time."""
        if self.under_way and now_s >= self.waits_until_s(refusal_s):
            return False
        self.under_way = True
        self.at_s = now_s
        return True

    def close(self, now_s: float) -> float:
        """Close the gate; gives the time of the first probe."""
        self.closed = True
        self.under_way = False
        self.failures = 0
        return now_s + self.gap_s

    def failed(self, now_s: float) -> float:
        """The probe was refused; gives the time of the next."""
        self.under_way = False
        self.failures += 1
        self.widen()
        return now_s + self.gap_s

    def withdrawn(self, at_s: float) -> None:
        """The call that started at ``at_s`` was never made: if it was the probe, another may start at once."""
        if self.under_way and at_s == self.at_s:
            self.under_way = False

    def open(self) -> None:
        """Open the gate."""
        self.closed = self.under_way = False

    def widen(self) -> None:
        """Probe more rarely from now on."""
        self.gap_s = min(2 * self.gap_s, GAP_MOST_S)

    def over(self) -> None:
        """Calls are served again: the next gap is the first of its kind."""
        self.gap_s = FIRST_GAP_S
