"""``Ticket``, ``Lane``, ``Waker``: who asks to be admitted, where they wait in line, and how they are told."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from heapq import heapify, heappop, heappush
from typing import Any

from hush.core._admission._limiter import Limiter, Taken, Tokens

WAITING, ADMITTED, ENDED = range(3)

Order = tuple[int, int]
"""Who comes first: of the higher priority, then of the earlier arrival. Less is earlier."""


class Waker(ABC):
    """Tells those that wait on one loop, which may be another thread's.

    Attributes:
        lanes: How many of them wait in which lane.
        armed_s: The earliest time at which it was asked to call back and has not yet.
    """

    __slots__ = ("__weakref__", "armed_s", "lanes")

    def __init__(self) -> None:
        self.lanes: dict[Lane, int] = {}
        self.armed_s = math.inf

    @abstractmethod
    def wake(self, ticket: Ticket) -> bool:
        """Tell whoever waits with ``ticket`` that it is admitted. ``False`` if there is nobody any more."""

    @abstractmethod
    def arm(self, at_s: float) -> None:
        """Call ``Admission.tick`` at ``at_s``, or before."""


class Ticket:
    """One call that asks for admission.

    Attributes:
        tokens: How many tokens it is expected to take.
        waker: Who tells it, if it has to wait.
        future: What the waker tells it through.
        state: ``WAITING``, ``ADMITTED`` or ``ENDED``.
        asked_s: When it asked, ``admitted_s`` when it was admitted.
        begun: Whether the call has been made: what was never called is taken back whole.
        taken: What it took of limiters that keep more than a count.
    """

    __slots__ = (
        "admitted_s",
        "asked_s",
        "begun",
        "future",
        "lane",
        "order",
        "state",
        "taken",
        "tokens",
        "waker",
    )

    def __init__(self, lane: Lane, tokens: Tokens, asked_s: float) -> None:
        self.lane = lane
        self.tokens = tokens
        self.asked_s = self.admitted_s = asked_s
        self.state = WAITING
        self.begun = False
        self.taken: list[Taken] | None = None
        self.order: Order = (0, 0)
        self.waker: Waker | None = None
        self.future: Any = None


class Lane:
    """Those that wait for the same limiters, in order: only the first of them can be the next.

    Attributes:
        passed: How many came later, to other lanes, and were admitted before the first of this one.
        wakers: How many of each waker's wait here.
    """

    __slots__ = ("__weakref__", "_heap", "_live", "limiters", "passed", "wakers")

    def __init__(self, limiters: tuple[Limiter, ...]) -> None:
        self.limiters = limiters
        self.passed = 0
        self.wakers: dict[Waker, int] = {}
        self._heap: list[tuple[Order, Ticket]] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def add(self, ticket: Ticket) -> None:
        """``ticket`` begins to wait."""
        if not self._live:
            for limiter in self.limiters:
                limiter.lanes[self] = None
        self._live += 1
        heappush(self._heap, (ticket.order, ticket))
        waker = ticket.waker
        assert waker is not None
        self.wakers[waker] = waker.lanes[self] = self.wakers.get(waker, 0) + 1

    def first(self) -> Ticket:
        """The first of those that wait."""
        return self._heap[0][1]

    def leave(self, ticket: Ticket) -> None:
        """``ticket``, whose state has changed, waits no longer."""
        waker = ticket.waker
        assert waker is not None
        left = self.wakers[waker] - 1
        if left:
            self.wakers[waker] = waker.lanes[self] = left
        else:
            del self.wakers[waker], waker.lanes[self]
        self._live -= 1
        heap = self._heap
        if heap[0][1] is ticket:
            self.passed = 0
            while heap and heap[0][1].state != WAITING:
                heappop(heap)
        if not self._live:
            heap.clear()
            self.passed = 0
            for limiter in self.limiters:
                del limiter.lanes[self]
        elif len(heap) > 2 * self._live + 16:  # mostly those that gave up
            self._heap = [one for one in heap if one[1].state == WAITING]
            heapify(self._heap)
