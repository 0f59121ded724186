"""A process map played through in simulated time: what ``ChunkRule`` decides, on processes whose costs are given.

As in ``RemoteWorker`` and ``ProcessPool``: two chunks are under way for each process, and a short one is sent to a
process that is at work already.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import accumulate
from typing import NamedTuple

from hush.core._runtime._chunks import ENOUGH_NS, ChunkRule


@dataclass(frozen=True)
class Costs:
    """What handing over costs: ``way_ns`` to a process and as much back, ``chunk_ns`` and ``per_item_ns`` in it."""

    way_ns: int = 200_000
    chunk_ns: int = 100_000
    per_item_ns: int = 300


@dataclass
class Process:
    """When it began with its first chunk and will end with its last, and how much of that is work."""

    began_ns: int | None = None
    ends_ns: int = 0
    work_ns: int = 0
    users: int = 0


class Played(NamedTuple):
    """What has come of it."""

    processes: list[Process]
    sizes: list[int]
    ran: list[range]

    def must_have_run(self, items: int) -> None:
        """Raise unless each item was run once."""
        ran = sorted(self.ran, key=lambda one: one.start)
        assert [one.start for one in ran] == [0, *(one.stop for one in ran[:-1])]
        assert ran[-1].stop == items

    def share(self) -> float:
        """What is not work in the time of the processes, each from its first item to its last, for each ns of work."""
        used = [one for one in self.processes if one.began_ns is not None]
        work_ns = sum(one.work_ns for one in used)
        return (sum(one.ends_ns - (one.began_ns or 0) for one in used) - work_ns) / work_ns

    def span(self) -> float:
        """How much longer it took than the work would, shared out evenly."""
        began_ns = min(one.began_ns for one in self.processes if one.began_ns is not None)
        work_ns = sum(one.work_ns for one in self.processes)
        return (max(one.ends_ns for one in self.processes) - began_ns) * len(self.processes) / work_ns


@dataclass
class Play:
    """A map over items of which each takes so long."""

    items_ns: Sequence[int]
    workers: int
    costs: Costs = field(default_factory=Costs)

    def __post_init__(self) -> None:
        self.items = len(self.items_ns)
        self.until_ns = [0, *accumulate(self.items_ns)]
        self.rule = ChunkRule(self.workers)
        self.processes = [Process() for _ in range(self.workers)]
        self.pulled = 0
        self.returned: list[range] = []
        self.waiting: list[range] = []
        self.coming: list[tuple[int, int, Callable[[], None]]] = []
        self.now_ns = 0
        self.sizes: list[int] = []
        self.ran: list[range] = []

    def run(self) -> Played:
        """Play it."""
        for _ in range(2 * self.workers):
            self._pull()
        while self.coming:
            self.now_ns, _, back = heappop(self.coming)
            back()
        return Played(self.processes, self.sizes, self.ran)

    def _pull(self) -> None:
        left = self.items - self.pulled + sum(map(len, self.returned))
        size = self.rule.size(left)
        if self.returned:
            chunk = self.returned.pop()
            if chunk[size:]:
                self.returned.append(chunk[size:])
            self.waiting.append(chunk[:size])
        elif self.pulled < self.items:
            end = min(self.pulled + size, self.items)
            self.waiting.append(range(self.pulled, end))
            self.pulled = end
        self._seat()

    def _seat(self) -> None:
        for chunk in [*self.waiting]:
            process = min(self.processes, key=lambda one: one.users)
            if process.users and not (process.users < 2 and process.work_ns and self.rule.is_short(len(chunk))):
                continue
            self.waiting.remove(chunk)
            self._send(process, chunk)

    def _send(self, process: Process, chunk: range) -> None:
        costs, sent_ns, behind = self.costs, self.now_ns, process.users > 0
        begins_ns = max(process.ends_ns, sent_ns + costs.way_ns)
        fresh = process.began_ns is None
        if process.began_ns is None:
            process.began_ns = begins_ns
        process.users += 1
        before_ns = self.until_ns[chunk.start]
        passing = bisect_right(self.until_ns, before_ns + ENOUGH_NS)  # the last that is run
        done = min(len(chunk), passing - chunk.start)
        work_ns = self.until_ns[chunk.start + done] - before_ns
        self.ran.append(chunk[:done])
        spent_ns = work_ns + costs.chunk_ns + done * costs.per_item_ns
        process.ends_ns = begins_ns + spent_ns
        self.sizes.append(done)

        def back() -> None:
            process.users -= 1
            process.work_ns += work_ns
            whole_ns = spent_ns if behind else self.now_ns - sent_ns
            self.rule.learn(done, work_ns, None if fresh else whole_ns - work_ns, 0)
            if chunk[done:]:
                self.returned.append(chunk[done:])
            self._pull()

        heappush(self.coming, (process.ends_ns + costs.way_ns, len(self.sizes), back))
