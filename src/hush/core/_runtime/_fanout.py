"""Maps: a fixed set of workers that pull items from one source, never a task for each item.

    worker 0    the task that awaits the map
    the others  started when an item has suspended, twice as many each time, up to ``max_concurrency``

A worker pulls an item, makes a frame of the body for it and drives it. Where the body is synchronous it goes on with
the next at once, so such a map makes no task. An item is a failure domain of its own: its worker is the host.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Callable
from contextvars import Context, copy_context
from time import perf_counter_ns
from typing import Any

from hush.core._plan._model import MapPlan, StepPlan
from hush.core._runtime._columns import Columns
from hush.core._runtime._compound import timed_out
from hush.core._runtime._context import unchanged
from hush.core._runtime._domain import Domain, combined, is_ordinary
from hush.core._runtime._frame import Frame
from hush.core._runtime._run import Raised
from hush.core._runtime._sources import DONE, WAIT, ListSource, Signal, Source, open_source
from hush.core._runtime._strand import Strand
from hush.core.errors import FailureInfo, ReportedError, SourceError


async def run_map(strand: Strand, frame: Frame, step: StepPlan) -> Any:
    """Run one activation of a map; give its columns."""
    run, tracing = strand.run, strand.run.tracing
    fanout = Fanout(strand, frame, step)
    failure: BaseException | None = None
    cancelled: CancelledError | None = None
    timer = None
    if step.timeout_s is not None:
        timer = run.loop.call_later(step.timeout_s, lambda: fanout.domain.fail(timed_out(step)))
    try:
        fanout.open_sources()
        if tracing is not None:
            tracing.map_started(frame, step, fanout.total)
        failure = await fanout.domain.conduct(Worker(fanout, strand.task, fanout.domain.floor).work)
        if failure is None:
            failure = fanout.settle_lacking()
    except CancelledError as exc:
        cancelled = exc
    except Exception as exc:  # a source that cannot be gone through: the map's own failure
        failure = exc
    if timer is not None:
        timer.cancel()
    failure, cancelled = await fanout.close_sources(failure, cancelled)
    if tracing is not None:
        tracing.map_finished(frame, step, fanout.done, fanout.columns.failed)
    if failure is not None:
        run.locate(failure, frame.item, step)
        info = failure.__dict__.get("hush")
        if isinstance(info, FailureInfo) and info.columns is None:
            info.columns = fanout.columns.lists()
        return Raised(failure)
    if cancelled is not None:
        raise cancelled
    return fanout.columns.lists()


class Fanout:
    """One activation of a map.

    Attributes:
        domain: Of the workers.
        pull: Gives the value of the next item (a list of them for several ``Each``), ``WAIT`` or ``DONE``.
        total: The number of items, where it is known before.
        done: How many items have ended.
        active: How many workers there are.
        awaiting: How many of them wait for their item.
    """

    def __init__(self, strand: Strand, frame: Frame, step: StepPlan) -> None:
        assert step.map is not None
        assert step.body is not None
        self.strand, self.frame, self.step = strand, frame, step
        self.plan: MapPlan = step.map
        self.body = step.body
        self.run = strand.run
        self.base = step.call(frame.slots)
        self.columns = Columns(step)
        self.upstream = [read(frame.slots) for read in self.plan.upstream]
        self.sources: list[Source] = []
        self.slots = [one.slot for one in self.plan.each]
        self.slot = self.slots[0] if len(self.slots) == 1 else None
        self.total: int | None = None
        self.pull: Callable[[], Any] = self._pull_all
        self.domain = Domain(self.run.loop, strand.task, strand.domain, fatal=True)
        self.pulling = asyncio.Lock()
        self.exhausted = False
        self.done = 0
        self.active = 1
        self.awaiting = 0
        self._growing = False
        self._held: list[Any] = [WAIT] * len(self.slots)

    def open_sources(self) -> None:
        """Open the sources, and compare their lengths where they are known."""
        for one in self.plan.each:
            value = one.source(self.frame.slots)
            self.sources.append(open_source(value, self.run, one.pull, one.where, one.spent))
        self.frame.entered(self.step)
        sizes = [source.size for source in self.sources]
        known = [size for size in sizes if size is not None]
        if len(set(known)) > 1:
            raise self._unequal(", ".join(f"{e.name}: {size}" for e, size in zip(self.plan.each, sizes, strict=True)))
        self.total = known[0] if len(known) == len(sizes) else None
        if len(self.sources) == 1:
            self.pull = self.sources[0].now

    def _unequal(self, lengths: str) -> SourceError:
        return SourceError(
            f"the Each inputs of {self.step.path} must have the same length ({lengths}; {self.step.where})"
        )

    # --- pulling ------------------------------------------------------------------------------------------
    def _pull_all(self) -> Any:
        """The values of the next item of several sources, ``WAIT`` or ``DONE``."""
        held = self._held
        for place, source in enumerate(self.sources):
            if held[place] is WAIT:
                held[place] = source.now()
        if any(value is WAIT for value in held):
            return WAIT
        ended = [value is DONE for value in held]
        if any(ended):
            if not all(ended):
                shortest = self.plan.each[ended.index(True)].name
                raise self._unequal(f"{shortest} has {self.columns.count}, another has more")
            return DONE
        self._held = [WAIT] * len(held)
        return held

    async def fill(self, cancelled: Callable[[], None]) -> None:
        """Wait until each source has a value at hand; one worker at a time."""
        async with self.pulling:
            for value, source in zip(self._held, self.sources, strict=True):
                if value is WAIT:
                    await source.fill(cancelled)

    def stop_pulling(self, error: BaseException, by: asyncio.Task[Any]) -> None:
        """The source failed."""
        self.exhausted = True
        self.domain.fail(error, by)

    async def close_sources(
        self, failure: BaseException | None, cancelled: CancelledError | None
    ) -> tuple[BaseException | None, CancelledError | None]:
        """Close what must be closed, whatever happens meanwhile; an error in that is a failure of the map."""
        for source in self.sources:
            try:
                await source.close()
            except CancelledError as exc:
                cancelled = exc
            except BaseException as exc:
                failure = combined([failure, exc]) if failure is not None else exc
        return failure, cancelled

    # --- items --------------------------------------------------------------------------------------------
    def open(self, values: Any) -> tuple[int, Frame]:
        """The frame of the next item."""
        index = self.columns.open()
        slots = self.base.copy()
        slots[0] = {}
        if self.slot is not None:
            slots[self.slot] = values
        elif len(self.slots) > 1:
            for slot, value in zip(self.slots, values, strict=True):
                if slot is not None:
                    slots[slot] = value
        around = self.frame.item
        return index, Frame(self.body, slots, None, (*around, index) if around else (index,))

    def failed_upstream(self, index: int) -> Any:
        """The error with which this item failed in a map before, if it did."""
        for errors in self.upstream:
            if errors is not None and index < len(errors) and errors[index] is not None:
                return errors[index]
        return None

    def finish(self, index: int, frame: Frame, by: asyncio.Task[Any]) -> None:
        """An item's body is complete."""
        error = self.columns.put(index, frame.outputs())
        self.done += 1
        tracing = self.run.tracing
        if error is not None:
            if self.plan.fail_fast:
                if tracing is not None:
                    tracing.item_failed(self.step, (*self.frame.item, index), error)
                self.domain.fail(self._reported(index, error), by)
            else:
                self._note(index, error)
        elif tracing is not None:
            tracing.item_finished(self.step, (*self.frame.item, index))

    def _reported(self, index: int, error: Any) -> BaseException:
        """The exception for an item that failed, or that reported an error as a value."""
        failure = error if isinstance(error, BaseException) else ReportedError(error)
        self.run.locate(failure, (*self.frame.item, index), self.step)
        return failure

    def fail(self, index: int, error: Any, by: asyncio.Task[Any] | None) -> None:
        """An item failed: collect it, or end the map."""
        collects = not isinstance(error, BaseException) or is_ordinary(error)
        self.columns.fail(index, error)
        self.done += 1
        if collects and not self.plan.fail_fast:
            self._note(index, error)
            return
        if self.run.tracing is not None:
            self.run.tracing.item_failed(self.step, (*self.frame.item, index), error)
        self.domain.fail(self._reported(index, error), by)

    def _note(self, index: int, error: Any) -> None:
        item = (*self.frame.item, index)
        self.run.collect(error, self.step.path, item, partial=True)
        if self.run.tracing is not None:
            self.run.tracing.item_failed(self.step, item, error)

    def settle_lacking(self) -> BaseException | None:
        """At the end: items that lack a key that others have fail, and say so."""
        try:
            for index, error in self.columns.lacking():
                self.run.locate(error, (*self.frame.item, index), self.step)
                self.done -= 1
                self.fail(index, error, self.domain.host)
                if self.plan.fail_fast:
                    return error
        except KeyError as exc:
            return exc
        return None

    # --- workers ------------------------------------------------------------------------------------------
    def suspending(self) -> None:
        """A worker is about to await its item: if it really suspends, there is room for others."""
        if not self._growing and self.active < self.plan.max_concurrency and not self.exhausted:
            self._growing = True
            self.run.loop.call_soon(self._grow)

    def _grow(self) -> None:
        self._growing = False
        if self.domain.closing or self.exhausted or not self.awaiting:
            return
        more = min(self.active, self.plan.max_concurrency - self.active)
        if self.total is not None:
            more = min(more, self.total - self.columns.count)
        for _ in range(more):
            self.spawn(None)

    def spawn(self, context: Context | None) -> None:
        """One more worker."""
        self.active += 1
        self.domain.spawn(Worker(self), self.step.path, context)


_LOOK_EVERY = 64
"""Of items that failed upstream, and so cost nothing, every so many look at the clock."""


class Worker:
    """One worker of a map: pulls items and hosts them, one after the other.

    Its strand asks it for more work whenever an item's steps have run, so a run of synchronous items is one stretch.

    Attributes:
        index: The item at hand, with its ``frame``; no frame between items.
        signal: Why there is no next item at hand: ``WAIT`` or ``DONE``.
    """

    __slots__ = ("domain", "fanout", "floor", "frame", "index", "signal", "spawned", "strand", "task")

    task: Any  # an asyncio.Task, once it has begun
    domain: Domain
    strand: Strand

    def __init__(self, fanout: Fanout, host: asyncio.Task[Any] | None = None, floor: int = 0) -> None:
        self.fanout = fanout
        self.spawned = host is None
        self.task = host
        self.floor = floor
        self.index = -1
        self.frame: Frame | None = None
        self.signal: Signal = WAIT

    async def work(self) -> None:
        """Pull and run items until there are none. What is raised here goes where a strand's goes."""
        fanout = self.fanout
        if self.task is None:
            self.task = asyncio.current_task()  # an eager task begins before its maker can tell
        assert self.task is not None
        self.domain = Domain(fanout.run.loop, self.task, fanout.domain, fatal=fanout.plan.fail_fast)
        self.strand = Strand(fanout.run, self.domain, self.task, self.floor)
        try:
            await self._work()
        except BaseException as exc:
            if not self.spawned:
                raise
            if not (isinstance(exc, CancelledError) and fanout.domain.closing):
                fanout.domain.fail(exc, self.task)
        finally:
            self.strand.more = None  # or it and this worker would keep each other alive
            if self.spawned:
                fanout.active -= 1
                fanout.domain.leave(self)

    async def _work(self) -> None:
        fanout, strand, budget = self.fanout, self.strand, self.fanout.run.budget
        context = copy_context()
        strand.more = self.next_item
        strand.timed = fanout.run.tracing is not None or any(type(one) is not ListSource for one in fanout.sources)
        while True:
            spent = not strand.drive()
            if strand.pending or self.domain.dropped:
                await self._await_item()
                if not fanout.exhausted and not unchanged(context, copy_context()):
                    # The item set a context variable in this task: the next must not see it.
                    fanout.spawn(context)
                    return
            elif not spent:
                if self.signal is DONE:
                    return
                await self._fill()
                self._check_cancelled()
                if not unchanged(context, copy_context()):
                    fanout.spawn(context)  # the source has set one
                    return
            if budget.must_wait(perf_counter_ns()):
                await budget.turn(served=spent)

    def stop(self) -> None:
        """It has pulled nothing yet."""

    def next_item(self) -> bool:
        """Settle the item at hand and make the next one ready; ``False`` if it must be awaited, or if there is none."""
        strand, fanout = self.strand, self.fanout
        if strand.pending or self.domain.dropped:
            return False
        frame = self.frame
        if frame is not None:
            if self.domain.errors:
                self._settle(combined(self.domain.errors))
            else:
                self.frame = None
                fanout.finish(self.index, frame, self.task)
        while True:
            if fanout.domain.closing:
                self.signal = DONE
                return False
            try:
                values = fanout.pull()
            except BaseException as exc:  # the source failed, and with it the map
                fanout.stop_pulling(exc, self.task)
                continue
            if values is WAIT or values is DONE:
                self.signal = values
                fanout.exhausted = values is DONE
                return False
            self.index, frame = fanout.open(values)
            error = fanout.failed_upstream(self.index) if fanout.upstream else None
            if error is None:
                self.frame = frame
                if fanout.run.tracing is None:
                    frame.start(strand.ready)
                else:
                    fanout.run.tracing.frame_started(frame, strand.ready)
                return True
            fanout.fail(self.index, error, self.task)
            if not self.index % _LOOK_EVERY and fanout.run.budget.must_wait(perf_counter_ns()):
                self.signal = WAIT
                return False

    def _settle(self, failure: BaseException | None) -> None:
        frame, self.frame = self.frame, None
        assert frame is not None
        if failure is None:
            self.fanout.finish(self.index, frame, self.task)
        else:
            self.fanout.fail(self.index, failure, self.task)
            self.domain.reset()

    async def _await_item(self) -> None:
        """Host the rest of the item, in which something is to be awaited."""
        fanout, strand = self.fanout, self.strand
        strand.more = None
        fanout.awaiting += 1
        fanout.suspending()
        try:
            failure = await self.domain.conduct(strand.work)
        finally:
            fanout.awaiting -= 1
        self.domain.reset()
        if failure is None or (is_ordinary(failure) and not fanout.plan.fail_fast):
            self._check_cancelled()  # what would have been collected gives way to the cancellation
        strand.more = self.next_item
        self._settle(failure)

    def _check_cancelled(self) -> None:
        """Pass on a cancellation from outside that an item or a source has swallowed."""
        if not self.fanout.domain.closing and self.task.cancelling() > self.floor:
            raise CancelledError

    async def _fill(self) -> None:
        try:
            await self.fanout.fill(self.domain.host_cancelled)
        except CancelledError:
            raise
        except BaseException as exc:  # the source failed, and with it the map
            self.fanout.stop_pulling(exc, self.task)
