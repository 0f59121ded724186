"""Which items of a map are kept as spans: every one of a small map, of a large one all that failed, the slowest, a few.

The same goes for the rounds of a loop. Pure: the same ends of items in the same order, and as much room, give the same
choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from math import ceil
from typing import Generic, NamedTuple, Protocol, TypeVar
from zlib import crc32

from hush.core.errors import UsageError
from hush.core.protocols import Wanted
from hush.observability._crowding import FULL, OVERFULL, ROOMY


class Sampling(NamedTuple):
    """Which items of each map, and which rounds of each loop, become spans, with all that happened in them.

    Items that failed, or in which something failed, always do. What is left out is counted exactly, in the map's span
    and in the run's totals. Where more spans come than are exported, fewer of the items that ended well do: once half
    of ``max_pending`` wait, no more of the ``first`` ones, and once so many wait, none but those that are slower than
    what is held back as slow, in its place.

    Attributes:
        first: So many that end first of each map.
        slowest: This share of them besides, the slowest ones, from 0 to 1.
        random: This share besides, drawn by a hash of the run, the map and the item's index.
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
LEAST_HELD = 1_000
"""Slow items that a map of unknown length holds back however few have ended. With more it holds twice the share of
those that have, so that the share is exact for a hundred thousand items at a percent, and for more unless the map
becomes faster as it goes on: then the slowest of its beginning are fewer."""


def seed_of(trace: str, path: str, items: tuple[int, ...]) -> int:
    """That of the lots that the items of a map draw (``hush.core.protocols.lot``)."""
    return crc32(f"{trace} {path} {items}".encode("utf-8", "surrogatepass"))


def wanted(rule: Sampling, total: int | None, seed: int, long_ns: int) -> Wanted:
    """Which items of a map become spans, of those that were one call and ended well; besides, what took ``long_ns``."""
    most = min(_least_held(rule, total), MOST_HELD // 2)
    grows = 2 * rule.slowest if total is None and most == LEAST_HELD else 0.0
    return Wanted(long_ns, seed, ceil(rule.random * 2**32), rule.first, most, grows)


def _least_held(rule: Sampling, total: int | None) -> int:
    if total is not None:
        return int(rule.slowest * total)
    if not rule.slowest:
        return 0
    return MOST_HELD if rule.slowest > 0.25 else LEAST_HELD


class Sized(Protocol):
    """All of one item."""

    def size(self) -> int:
        """How many spans it is."""
        ...


_Whole = TypeVar("_Whole", bound=Sized)


class ItemSampler(Generic[_Whole]):
    """The choice for one map that is under way.

    Args:
        total: How many items there will be, if that is known: then no more are held back than can be among the slowest.
    """

    __slots__ = ("_done", "_grows", "_held", "_least", "_order", "_rule", "_slow")

    def __init__(self, rule: Sampling, total: int | None = None) -> None:
        self._rule = rule
        self._done = 0
        self._grows = total is None
        self._least = _least_held(rule, total)
        self._slow: list[tuple[int, int, _Whole]] = []  # a heap, the fastest on top
        self._held = 0
        self._order = count()

    def choose(
        self, whole: _Whole, share: float, *, failed: bool, took_ns: int, crowd: int = ROOMY
    ) -> tuple[bool, Sequence[_Whole]]:
        """An item has ended. Gives whether it is kept now, and the items that are left out for good, maybe itself.

        What is neither is held, until slower ones come or ``rest`` is asked for. ``share`` is the lot that it drew,
        from 0 to 1; ``crowd`` is how much room there is (``_crowding``).
        """
        self._done += 1
        rule = self._rule
        if failed:
            return True, ()
        if crowd >= OVERFULL:
            return False, (whole,)
        if crowd == FULL:
            return False, self._instead(whole, took_ns)
        if (self._done <= rule.first and crowd == ROOMY) or share < rule.random:
            return True, ()
        slow, most = self._slow, self._least
        if not most or (len(slow) >= most and took_ns <= slow[0][0]):
            return False, (whole,)  # nearly all of them
        if self._grows:
            most = max(most, int(2 * rule.slowest * self._done))
        heappush(slow, (took_ns, -next(self._order), whole))
        self._held += whole.size()
        out: list[_Whole] = []
        while len(slow) > most or (self._held > MOST_HELD and len(slow) > 1):
            fastest = heappop(slow)[2]
            self._held -= fastest.size()
            out.append(fastest)
        return False, out

    def _instead(self, whole: _Whole, took_ns: int) -> Sequence[_Whole]:
        """Hold it in the place of faster ones, and no more than before; gives what goes."""
        slow, size, freed = self._slow, whole.size(), 0
        out: list[tuple[int, int, _Whole]] = []
        while freed < size and slow and slow[0][0] < took_ns:
            out.append(heappop(slow))
            freed += out[-1][2].size()
        if freed < size:
            for each in out:
                heappush(slow, each)
            return (whole,)
        heappush(slow, (took_ns, -next(self._order), whole))
        self._held += size - freed
        return [each[2] for each in out]

    def begin(self, crowd: int) -> bool:
        """Where one comes after the other: whether the next is kept however it ends; then it is counted now."""
        surely = self._done < self._rule.first and crowd == ROOMY
        self._done += surely
        return surely

    def pass_over(self, items: int) -> None:
        """So many items have ended that were told of in sums: they would all have been left out."""
        self._done += items

    def rest(self, crowd: int = ROOMY) -> tuple[list[_Whole], list[_Whole]]:
        """The map has ended: the slowest items, and those that were held in vain."""
        slow, self._slow = sorted(self._slow, reverse=True), []
        most = 0 if crowd >= OVERFULL else int(self._rule.slowest * self._done)
        return [each[2] for each in slow[:most]], [each[2] for each in slow[most:]]
