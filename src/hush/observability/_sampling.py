"""Which items of a map are kept as spans: every one of a small map, of a large one all that failed, the slowest, a few.

Pure: the same ends of items in the same order give the same choice.
"""

from __future__ import annotations

from heapq import heappush, heappushpop
from itertools import count
from typing import NamedTuple

from hush.core.errors import UsageError
from hush.observability._span import Span


class Sampling(NamedTuple):
    """Which items of each map become spans, with all that happened in them.

    Items that failed, or in which something failed, always do. What is left out is counted exactly, in the map's span
    and in the run's totals.

    Attributes:
        first: So many that end first of each map.
        slowest: This share of them besides, the slowest ones, from 0 to 1.
        random: This share besides, drawn by the hash of their ids.
    """

    first: int = 1_000
    slowest: float = 0.01
    random: float = 0.01

    def checked(self) -> Sampling:
        """Itself. Raises ``UsageError`` if a number in it cannot be meant."""
        if isinstance(self.first, bool) or not isinstance(self.first, int) or self.first < 0:
            raise UsageError(f"Sampling(first={self.first!r}): it is a number of items, 0 or more.")
        for name in ("slowest", "random"):
            share = getattr(self, name)
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                raise UsageError(f"Sampling({name}={share!r}): it is a share of all items, from 0 to 1.")
        return self


USUAL = Sampling()
MOST_HELD = 20_000
"""Spans of slow items that one map holds back until it ends; then the fastest of these are left out early."""


class ItemSampler:
    """The choice for one map that is under way."""

    __slots__ = ("_done", "_held", "_order", "_rule", "_slow")

    def __init__(self, rule: Sampling) -> None:
        self._rule = rule
        self._done = 0
        self._slow: list[tuple[int, int, list[Span]]] = []  # a heap, the fastest on top
        self._held = 0
        self._order = count()

    def choose(self, spans: list[Span], *, failed: bool, took_ns: int) -> tuple[list[Span], list[Span]]:
        """An item has ended, with the item's own span last: which spans are kept now, and which are left out for good.

        What is in neither is held, until slower ones come or ``rest`` is asked for.
        """
        self._done += 1
        rule = self._rule
        if failed or self._done <= rule.first or int(spans[-1].id[:8], 16) < rule.random * 2**32:
            return spans, []
        most = int(rule.slowest * self._done)
        if not most:
            return [], spans
        entry = (took_ns, next(self._order), spans)
        self._held += len(spans)
        if len(self._slow) < most and self._held <= MOST_HELD:
            heappush(self._slow, entry)
            return [], []
        out = heappushpop(self._slow, entry)[2] if self._slow else spans
        self._held -= len(out)
        return [], out

    def rest(self) -> list[Span]:
        """The spans of the slowest items, now that the map has ended."""
        slow, self._slow = sorted(self._slow), []
        return [span for _, _, spans in slow for span in spans]
