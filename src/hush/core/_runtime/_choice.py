"""``Choice``: which items of a map are told of one by one, of those that were one quick call and ended well. Pure."""

from __future__ import annotations

from heapq import heappush, heapreplace

from hush.core.protocols import Wanted


class Choice:
    """That of one activation of a map, as its items end.

    Attributes:
        slow_ns: An item that takes longer is told of.
        seed: Of the lots of the others.
        share: So many in 2**32 of them are told of as well.
    """

    __slots__ = ("_first", "_took", "_wanted", "seed", "share", "slow_ns")

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.seed, self.share = wanted.seed, wanted.share
        self._first = wanted.first
        self._took: list[int] = []  # a heap of what the slowest took, the fastest on top
        self.slow_ns = -1 if self._first or wanted.slowest else wanted.slow_ns

    def told(self, took_ns: int, done: int, *, drawn: bool) -> None:
        """One is told of, ``drawn`` or not, when so many items of the map have ended, itself included."""
        wanted, took = self._wanted, self._took
        if self._first:
            self._first -= 1
            if not self._first and not wanted.slowest:
                self.slow_ns = wanted.slow_ns
            return
        if drawn or not wanted.slowest:
            return
        if len(took) < wanted.slowest or len(took) < int(wanted.slowest_share * done):
            heappush(took, took_ns)
        elif took_ns > took[0]:
            heapreplace(took, took_ns)
        if len(took) >= wanted.slowest:
            self.slow_ns = min(took[0], wanted.slow_ns)
