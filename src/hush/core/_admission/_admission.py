"""``Admission``: the one place where calls are admitted by limits, all of a call's limits at once.

Who waits for the same limiters waits in one lane. When something changes, the lanes that hang together are gone through
in the order of their first tickets (priority, then arrival), and:

- a ticket that fits in all its limiters is admitted in that same step, and takes from all of them;
- one that does not closes, for all that come after it, the limiters that it lacks: each is first come, first served;
- in a limiter that it does not lack others may pass it, ``PASSES`` times. Then a place is set aside for it there, if
  it is the next one in all that it lacks, and not for longer than the limiter takes to have another place anyway. So
  nobody waits for ever for two limiters that are never free at once, and one place at most stands idle for it.

What is set aside binds only later ones, and is worked out anew each time: the earliest ticket of all is never held up
by any other. Nothing that is admitted waits for admission, so nothing can deadlock.

Ending a call never waits for the lock: it is put into ``_mail``, and whoever has the lock looks there after giving it
up. So a permit can come back from anywhere, even from a coroutine that the garbage collector closes while this very
thread is in here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from threading import Lock
from weakref import WeakKeyDictionary, WeakValueDictionary

from hush.core._admission._lane import ADMITTED, ENDED, WAITING, Lane, Order, Ticket, Waker
from hush.core._admission._limiter import NOT_KNOWN, WELL, End, Limiter, Tokens
from hush.core._admission._state import LimitState
from hush.core._spec._policies import Limit

PASSES = 16
"""How often the first of a lane is passed by later ones before a place is set aside for it."""


class Admission:
    """All limiters under one clock, and those that wait for them. Usable from any thread.

    Args:
        clock: Gives the seconds that rates are measured in.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._lock = Lock()
        self._limiters: WeakKeyDictionary[Limit, Limiter] = WeakKeyDictionary()
        self._lanes: WeakValueDictionary[tuple[Limiter, ...], Lane] = WeakValueDictionary()
        self._arrivals = count()
        self._mail: deque[tuple[Ticket, End]] = deque()
        self._woken: deque[Ticket] = deque()
        self._arms: deque[tuple[Waker, float]] = deque()

    # --- asking -------------------------------------------------------------------------------------------
    def lane(self, limits: Sequence[Limit]) -> Lane:
        """Where calls wait that are admitted by all of ``limits``."""
        try:
            with self._lock:
                limiters = tuple(sorted({self._limiter(limit) for limit in limits}, key=id))
                lane = self._lanes.get(limiters)
                if lane is None:
                    lane = self._lanes[limiters] = Lane(limiters)
                return lane
        finally:
            self._follow_up()

    def _limiter(self, limit: Limit) -> Limiter:
        found = self._limiters.get(limit)
        if found is None:
            found = self._limiters[limit] = Limiter(limit)
        return found

    def enter(self, lane: Lane, tokens: Tokens = NOT_KNOWN) -> Ticket | None:
        """Admit a call at once; ``None`` if it would have to wait, or others wait already."""
        now_s = self.clock()
        with self._lock:
            for limiter in lane.limiters:
                if limiter.lanes or limiter.until_s(tokens, now_s) > now_s:
                    ticket = None
                    break
            else:
                ticket = Ticket(lane, tokens, now_s)
                self._take(ticket, now_s)
        if self._mail:
            self._follow_up()
        return ticket

    def queue(
        self, lane: Lane, waker: Waker, future: object, *, priority: int = 0, tokens: Tokens = NOT_KNOWN
    ) -> Ticket:
        """Wait in line: ``waker`` is told when the call is admitted, which may have happened when this returns."""
        ticket = Ticket(lane, tokens, self.clock())
        ticket.waker, ticket.future = waker, future
        try:
            with self._lock:
                ticket.order = (-priority, next(self._arrivals))
                lane.add(ticket)
                self._pump(lane.limiters)
        finally:
            self._follow_up()
        return ticket

    def begin(self, ticket: Ticket) -> None:
        """The call is made now: rates count it from here on, if it was admitted while its loop had others to see to."""
        ticket.begun = True
        if ticket.taken is not None:
            now_s = self.clock()
            for taken in ticket.taken:
                taken.limiter.begin(taken, now_s)

    # --- ending -------------------------------------------------------------------------------------------
    def give_back(self, ticket: Ticket, end: End = WELL) -> None:
        """The call has ended, or will not be made: it was withdrawn while it waited, or just after it was admitted.

        May be called several times, from any thread and at any moment: it counts once. Never blocks.
        """
        self._mail.append((ticket, end))
        self._follow_up()

    def tick(self, waker: Waker) -> None:
        """The time has come at which ``waker`` was asked to call."""
        try:
            with self._lock:
                waker.armed_s = math.inf
                self._pump([limiter for lane in waker.lanes for limiter in lane.limiters])
        finally:
            self._follow_up()

    def disarm(self, waker: Waker) -> None:
        """``waker`` will not call, since nobody waits with it."""
        with self._lock:
            waker.armed_s = math.inf
        self._follow_up()

    # --- looking ------------------------------------------------------------------------------------------
    def state(self, limit: Limit, name: str | None = None) -> LimitState:
        """How ``limit`` stands now. Looking has no effect: what starts and when is the same without."""
        now_s = self.clock()
        try:
            with self._lock:
                limiter = self._limiter(limit)
                firsts = [lane.first() for lane in limiter.lanes]
                tokens = min(firsts, key=lambda each: each.order).tokens if firsts else NOT_KNOWN
                at_s = limiter.until_s(tokens, now_s, looks=True)
                return LimitState(
                    name or limiter.name,
                    sum(len(lane) for lane in limiter.lanes),
                    limiter.in_use,
                    limiter.most,
                    None if math.isinf(at_s) and at_s > 0 else max(0.0, at_s - now_s),
                    limiter.opens_at_s - now_s if limiter.opens_at_s > now_s else None,
                )
        finally:
            self._follow_up()

    def refused_for_s(self, lane: Lane) -> float:
        """For how long one of the limits of ``lane`` has seen nothing but refusals."""
        now_s = self.clock()
        try:
            with self._lock:
                return max((limiter.refused_for_s(now_s) for limiter in lane.limiters), default=0.0)
        finally:
            self._follow_up()

    def is_shut(self, lane: Lane) -> bool:
        """Whether refusals have closed one of the limits of ``lane``, so that only single calls are let through."""
        now_s = self.clock()
        try:
            with self._lock:
                return any(limiter.is_shut(now_s) for limiter in lane.limiters)
        finally:
            self._follow_up()

    # --- under the lock -----------------------------------------------------------------------------------
    def _take(self, ticket: Ticket, now_s: float) -> None:
        ticket.state = ADMITTED
        ticket.admitted_s = now_s
        for limiter in ticket.lane.limiters:
            taken = limiter.take(ticket.tokens, now_s)
            if taken is not None:
                if ticket.taken is None:
                    ticket.taken = []
                ticket.taken.append(taken)

    def _end(self, ticket: Ticket, end: End) -> None:
        state, ticket.state = ticket.state, ENDED
        if state == ENDED:
            return
        limiters = ticket.lane.limiters
        if state == WAITING:
            ticket.lane.leave(ticket)
        else:
            now_s = 0.0 if ticket.taken is None and end is WELL else self.clock()
            for limiter in limiters:
                limiter.in_use -= 1
                if limiter.outage is not None and not now_s:
                    now_s = self.clock()
                if limiter.refusing_s is not None or end.overloaded:
                    limiter.hear(ticket.admitted_s, now_s or self.clock(), end)
                if end.overloaded or end.down or limiter.outage is not None:
                    limiter.judge(ticket.admitted_s, now_s, end, begun=ticket.begun)
            for taken in ticket.taken or ():
                if ticket.begun:
                    taken.limiter.give(taken, ticket.tokens, now_s, end)
                else:
                    taken.limiter.undo(taken, now_s)
            if end.retry_after_s is not None:
                for limiter in limiters:
                    limiter.close_until(now_s + end.retry_after_s)
        for limiter in limiters:
            if limiter.lanes:
                self._pump(limiters)
                return

    def _pump(self, limiters: Iterable[Limiter]) -> None:
        """Admit all that can be admitted, now that something has changed with ``limiters``."""
        lanes = _together(limiters)
        if not lanes:
            return
        now_s = self.clock()
        todo: list[tuple[Order, Lane]] = [(lane.first().order, lane) for lane in lanes]
        heapify(todo)
        closed: dict[Limiter, float] = {}
        blocked: list[Lane] = []
        holding: dict[Limiter, float] = {}
        while todo:
            _, lane = heappop(todo)
            ticket = lane.first()
            at_s = self._when(ticket, now_s, closed, holding)
            if at_s > now_s:
                blocked.append(lane)
                if holding:  # what is set aside comes free at its time also if the loop it is for is closed or busy
                    at_s = min(at_s, *(holding.get(limiter, math.inf) for limiter in lane.limiters))
                if at_s < math.inf:
                    self._arm(lane, at_s)
                continue
            self._take(ticket, now_s)
            lane.leave(ticket)
            self._woken.append(ticket)
            for other in blocked:
                if not set(lane.limiters).isdisjoint(other.limiters):
                    other.passed += 1
            if len(lane):
                heappush(todo, (lane.first().order, lane))
        for limiter in holding:
            limiter.let_go()

    def _when(self, ticket: Ticket, now_s: float, closed: dict[Limiter, float], holding: dict[Limiter, float]) -> float:
        """When ``ticket`` may be admitted; if not now, close what it lacks, and set aside what it has waited for.

        ``holding`` says until when something is set aside, at least.
        """
        lane = ticket.lane
        untils: list[float] = []
        is_next = True
        for limiter in lane.limiters:
            until_s = closed.get(limiter, -math.inf)
            if until_s > now_s:
                is_next = False
            untils.append(max(until_s, limiter.until_s(ticket.tokens, now_s)))
        at_s = max(untils)
        if at_s <= now_s:
            return at_s
        holds = is_next and lane.passed >= PASSES
        for limiter, until_s in zip(lane.limiters, untils, strict=True):
            if until_s > now_s:
                closed[limiter] = until_s
            elif holds and (at_s == math.inf or at_s - now_s <= limiter.horizon_s):
                limiter.hold(ticket.tokens)
                holding[limiter] = min(at_s, holding.get(limiter, math.inf))
        return at_s

    def _arm(self, lane: Lane, at_s: float) -> None:
        for waker in lane.wakers:
            if at_s < waker.armed_s:
                waker.armed_s = at_s
                self._arms.append((waker, at_s))

    # --- without the lock ---------------------------------------------------------------------------------
    def _follow_up(self) -> None:
        """Tell those who were admitted, then see to what has ended meanwhile, until there is neither.

        Each is taken by whichever thread comes first. Who finds the lock taken may go: who has it comes here next.
        """
        while True:
            while self._woken:
                try:
                    ticket = self._woken.popleft()
                except IndexError:
                    break
                assert ticket.waker is not None
                if not ticket.waker.wake(ticket):
                    self._mail.append((ticket, WELL))
            while self._arms:
                try:
                    waker, at_s = self._arms.popleft()
                except IndexError:
                    break
                waker.arm(at_s)
            if not self._mail or not self._lock.acquire(blocking=False):
                return
            try:
                while self._mail:
                    self._end(*self._mail.popleft())
            finally:
                self._lock.release()


def _together(limiters: Iterable[Limiter]) -> dict[Lane, None]:
    """All lanes that hang together with ``limiters``: by a limiter, or by a lane between them."""
    lanes: dict[Lane, None] = {}
    seen = dict.fromkeys(limiters)
    todo = list(seen)
    for limiter in todo:  # grows while it is walked
        for lane in limiter.lanes:
            if lane not in lanes:
                lanes[lane] = None
                for other in lane.limiters:
                    if other not in seen:
                        seen[other] = None
                        todo.append(other)
    return lanes
