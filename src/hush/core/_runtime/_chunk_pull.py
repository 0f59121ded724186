"""``Puller``: gathers the items of the next chunk of a process map from its sources."""

from __future__ import annotations

import sys
from asyncio import CancelledError
from time import perf_counter_ns
from typing import Any

from hush.core._runtime._crew import Chunk, Crew
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._sources import DONE, WAIT

_LOOK_EVERY = 64
"""Of items that are pulled one by one, every so many look at the clock."""
_STRETCH = 1024
"""So many are taken at once, at most, between two looks at the clock."""
_GATHER_S = 0.005
"""A chunk that is still too small waits for its source so long in all, and not at all for one that took so long before.

Those in hand must not wait for good: the source may give no more until it has heard of them.
"""


class Puller:
    """Pulls for one worker, in its ``task``, which was cancelled ``floor`` times when it began."""

    def __init__(self, crew: Crew, fanout: Fanout, task: Any, floor: int) -> None:
        self._crew = crew
        self._fanout = fanout
        self._task = task
        self._floor = floor
        self._indexes: list[int] = []
        self._values: list[Any] = []

    async def next(self) -> Chunk | None:
        """The next chunk: less than the rule says if the source has no more at hand. ``None`` if there is no more."""
        fanout, crew = self._fanout, self._crew
        left = None if fanout.total is None else fanout.total - fanout.columns.count + crew.items_returned()
        size = min(crew.rule.size(left), crew.most_items or sys.maxsize)
        returned = crew.again(size)
        if returned is not None:
            return returned
        fanout.widen(4 * fanout.plan.max_concurrency * size)  # room for what is under way, and as much again
        await self._gather(size)
        indexes, values = self._indexes, self._values
        self._indexes, self._values = [], []
        return Chunk(indexes, values) if indexes else crew.again(size)

    async def _gather(self, size: int) -> None:
        fanout, tracing = self._fanout, self._fanout.run.tracing
        due_s: float | None = None
        # Several at once, where there is nothing to be done for each of them.
        take = fanout.feed.take if fanout.plan.key is None and tracing is None and fanout.channel is None else None
        while len(self._indexes) < size and not fanout.domain.closing:
            if fanout.full():
                if self._indexes:
                    break
                await self._fill(None)
                self._check_cancelled()
                continue
            if tracing is not None and tracing.held:
                if self._indexes:
                    break
                await tracing.room()
                self._check_cancelled()
                continue
            if take is not None and (some := take(min(_STRETCH, size - len(self._indexes)))):
                first = fanout.reserve(len(some))
                self._indexes += range(first, first + len(some))
                self._values += some
                await self._turn()
                continue
            try:
                values = fanout.pull()
            except BaseException as exc:  # the source failed, and with it the map
                fanout.stop_pulling(exc, self._task)
                break
            if values is DONE:
                fanout.exhausted = True
                break
            if values is WAIT:
                if self._indexes:
                    if due_s is None and self._crew.fill_s < _GATHER_S:
                        due_s = fanout.run.loop.time() + _GATHER_S
                    enough = due_s is None or len(self._indexes) >= self._crew.rule.least()
                    if enough or (due_s is not None and fanout.run.loop.time() >= due_s):
                        break
                began_s = fanout.run.loop.time()
                await self._fill(due_s)
                self._crew.fill_s = fanout.run.loop.time() - began_s
                self._check_cancelled()
            else:
                self._open(values)
            if not fanout.columns.count % _LOOK_EVERY:
                await self._turn()

    async def _turn(self) -> None:
        budget = self._fanout.run.budget
        if budget.must_wait(perf_counter_ns()):
            await budget.turn(served=True)
            self._check_cancelled()

    def _open(self, values: Any) -> None:
        fanout = self._fanout
        index = fanout.reserve(1)
        error = before = None if fanout.feed.plain else fanout.feed.failed_before(index)
        if fanout.plan.key is not None:
            unnamed = fanout.name(index, values)
            error = unnamed if error is None else error
        if error is None:
            self._indexes.append(index)
            self._values.append(values)
        else:
            fanout.fail(index, error, self._task, travelled=error is before)

    async def _fill(self, until_s: float | None) -> None:
        fanout = self._fanout
        try:
            await fanout.fill_by(until_s)
        except CancelledError:
            raise
        except BaseException as exc:  # the source failed, and with it the map
            fanout.stop_pulling(exc, self._task)

    def _check_cancelled(self) -> None:
        """Pass on a cancellation from outside that a source has swallowed."""
        if not self._fanout.domain.closing and self._task.cancelling() > self._floor:
            raise CancelledError
