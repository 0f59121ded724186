"""``Adaptive``: how many calls may go on at once where nobody knows it beforehand. For now a fixed number."""

from __future__ import annotations

import math


class Adaptive:
    """A level that stays where it starts."""

    __slots__ = ("_level",)

    def __init__(self, *, start: int = 4, most: int = 1024) -> None:
        self._level = min(start, most)

    def admit_at_s(self, now_s: float, in_flight: int) -> float:
        """The earliest time at which one more call may start; infinite if some call must end first."""
        return now_s if in_flight < self._level else math.inf

    def started(self, now_s: float) -> object:
        """A call starts. What is given goes to ``ended``."""
        return None

    def ended(self, token: object, now_s: float, *, overloaded: bool, retry_after_s: float | None) -> None:
        """A call has ended."""
