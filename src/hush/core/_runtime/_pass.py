"""``Pass``: the inline work that one pass of an event loop may do, shared by all that runs on the loop.

A pass has 6 ms, counted from its first inline work. Whoever finds them spent waits for its turn: first come, first
served, and who was not served keeps its place before those who were. So a run of a million cheap items holds no
timer, socket or other run up for longer than that. Who is woken and finds them spent again comes first in the
next pass.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter_ns
from typing import Any
from weakref import WeakKeyDictionary, ref

BUDGET_NS = 6_000_000
"""The design says 5 ms. That is how long a thread waits for the interpreter before it asks for it, and a loop that lets
go of it as often as that, to look for what has come, begins that wait anew each time: beside a busy map other threads
then stood still for up to a second. With 6 ms they have it within that time."""
CLOSELY_NS = BUDGET_NS - 5_000_000
"""For so long before the end of a pass gates hear of each call: one of 5 ms may end before the pass does."""
ENDLESS_NS = 1 << 62
_WOKEN_AT_ONCE = 32  # most of them would find the budget spent again


class Pass:
    """The budget of one loop.

    Attributes:
        deadline_ns: When the budget of the pass at hand is spent; 0 before its first inline work.
        limit_ns: Until when ``must_wait`` need not be asked: the deadline; 0 if there is none, or others wait in line.
        at: The step whose ``def`` is running on the loop, for the watchdog; ``frame`` and ``run`` are whose it is. They
            are written one after the other, and read in another thread.
        endless: Whether there is no limit, and every ``def`` runs on the loop: it is a test's.
        of: A weak reference to the loop.
        runs: The runs that are under way on the loop.
    """

    __slots__ = (
        "__weakref__",
        "_budget_ns",
        "_closing",
        "_served",
        "_turned_away",
        "_unserved",
        "at",
        "deadline_ns",
        "endless",
        "frame",
        "limit_ns",
        "of",
        "run",
        "runs",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.of = ref(loop)  # the loop's budget must not keep the loop
        # Under a test's loop a run depends on nothing but its seed, and so not on how fast this machine is.
        self.endless: bool = getattr(loop, "runs_inline", False)
        self._budget_ns = ENDLESS_NS if self.endless else BUDGET_NS
        self._served: deque[asyncio.Future[None]] = deque()
        self._unserved: deque[asyncio.Future[None]] = deque()
        self._turned_away: list[asyncio.Future[None]] = []  # in this pass, and so before the unserved in the next
        self._closing = False
        self.deadline_ns = self.limit_ns = 0
        self.at: Any = None
        self.frame: Any = None
        self.run: Any = None
        self.runs: set[Any] = set()

    def run_began(self, run: Any) -> None:
        """One more run on this loop."""
        runs = self.runs
        if not runs:
            _busy.add(self)
        runs.add(run)

    def run_ended(self, run: Any) -> None:
        """One run less."""
        self.runs.discard(run)
        if not self.runs:
            _busy.discard(self)

    def open(self, now_ns: int) -> None:
        """Note the first inline work of a pass."""
        self.deadline_ns = now_ns + self._budget_ns
        self.limit_ns = 0 if self._served or self._unserved else self.deadline_ns
        self._close_soon()

    def must_wait(self, now_ns: int) -> bool:
        """Whether someone who goes on must wait for a turn first; if not, this counts as inline work."""
        if not self.deadline_ns:
            self.open(now_ns)
        return now_ns > self.deadline_ns or bool(self._served) or bool(self._unserved)

    def spent(self) -> bool:
        """Whether someone in the middle of something must stop, whoever else waits; if not, this is inline work."""
        now_ns = perf_counter_ns()
        if not self.deadline_ns:
            self.open(now_ns)
        return now_ns > self.deadline_ns

    async def turn(self, *, served: bool) -> None:
        """Wait until the loop has made a whole pass and there is budget again."""
        queue: deque[asyncio.Future[None]] | list[asyncio.Future[None]] = self._served if served else self._unserved
        loop = asyncio.get_running_loop()
        while True:
            turn = loop.create_future()
            queue.append(turn)
            self.limit_ns = 0
            self._close_soon()
            await turn
            if not self.deadline_ns or perf_counter_ns() <= self.deadline_ns:
                return
            queue = self._unserved if queue is self._served else self._turned_away

    def _close_soon(self) -> None:
        loop = self.of()
        if not self._closing and loop is not None:
            self._closing = True
            loop.call_soon(self._close)

    def _close(self) -> None:
        self._closing = False
        self.deadline_ns = self.limit_ns = 0
        self._unserved.extendleft(reversed(self._turned_away))
        self._turned_away.clear()
        for queue in (self._unserved, self._served):
            woken = 0
            while queue and woken < _WOKEN_AT_ONCE:
                turn = queue.popleft()
                if not turn.done():  # all who were cancelled go at once: they would hold the loop when it is closed
                    turn.set_result(None)
                    woken += 1
        if self._unserved or self._served:
            self._close_soon()


_passes: WeakKeyDictionary[asyncio.AbstractEventLoop, Pass] = WeakKeyDictionary()


_latest: Pass | None = None


def pass_of(loop: asyncio.AbstractEventLoop) -> Pass:
    """The budget that everything on ``loop`` shares."""
    global _latest  # noqa: PLW0603  # mostly there is one loop, and asking a weak dictionary costs 0.5 us
    found = _latest
    if found is None or found.of() is not loop:
        found = _passes.get(loop)
        if found is None:
            found = _passes[loop] = Pass(loop)
        _latest = found
    return found


_busy: set[Pass] = set()


def busy_passes() -> list[Pass]:
    """The budgets of the loops on which something runs, for the watchdog: safe to ask from any thread."""
    return list(_busy)
