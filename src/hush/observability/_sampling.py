"""Which items of a map are kept as spans: every one of a small map, of a large one all that failed, the slowest, a few.

Pure: the same ends of items in the same order give the same choice.
"""

from __future__ import annotations

from heapq import heappop, heappush
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
"""Spans of slow items that one map holds back until it ends: beyond that, the fastest of these are left out early, so
the slowest share is exact up to so many spans, and the slowest of all are kept in any case."""


class ItemSampler:
    """The choice for one map that is under way.

    Args:
        total: How many items there will be, if that is known: then no more are held back than can be among the slowest.
    """

    __slots__ = ("_done", "_held", "_most", "_order", "_rule", "_slow")

    def __init__(self, rule: Sampling, total: int | None = None) -> None:
        self._rule = rule
        self._done = 0
        self._most = MOST_HELD if total is None else int(rule.slowest * total)
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
        if not rule.slowest:
            return [], spans
        slow = self._slow
        heappush(slow, (took_ns, -next(self._order), spans))
        self._held += len(spans)
        out: list[Span] = []
        while len(slow) > self._most or (self._held > MOST_HELD and len(slow) > 1):
            fastest = heappop(slow)[2]
            self._held -= len(fastest)
            out += fastest
        return [], out

    def rest(self) -> tuple[list[Span], list[Span]]:
        """The map has ended: the spans of the slowest items, and those that were held in vain."""
        slow, self._slow = sorted(self._slow, reverse=True), []
        most = int(self._rule.slowest * self._done)
        kept, out = slow[:most], slow[most:]
        return [span for each in kept for span in each[2]], [span for each in out for span in each[2]]
