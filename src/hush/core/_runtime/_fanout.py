"""``Fanout``: one activation of a map: what it pulls, what its items gave, and how many workers it has.

worker 0    the task that awaits the map
the others  started when an item has suspended, twice as many each time, up to ``max_concurrency``
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from hush.core._plan._model import MapPlan, StepPlan
from hush.core._runtime._columns import Columns
from hush.core._runtime._domain import Domain, Member, combined, is_ordinary
from hush.core._runtime._frame import Frame
from hush.core._runtime._metrics import Latencies
from hush.core._runtime._run import KEPT_ERRORS, Collected
from hush.core._runtime._sources import DONE, WAIT, ListSource, Source, open_source
from hush.core._runtime._strand import Strand
from hush.core._spec._model import METRICS
from hush.core.errors import NodeTimeout, ReportedError, SourceError, TooManyFailures

_LOOK_EVERY = 64
"""Of items of a list that go into one batch every so many look at the clock; of a function that pulls, each does."""


class Fanout:
    """One activation of a map.

    Attributes:
        domain: Of the workers.
        pull: Gives the value of the next item (a list of them for several ``Each``), ``WAIT`` or ``DONE``.
        taken: How many items of the sources were taken, where that is not how many the body is given.
        total: The number of items, where it is known before.
        done: How many items have ended.
        active: How many workers there are.
        awaiting: How many of them wait for their item.
    """

    def __init__(self, strand: Strand, frame: Frame, step: StepPlan, hire: Callable[[Fanout], Member]) -> None:
        assert step.map is not None
        assert step.body is not None
        self._hire = hire
        self.strand, self.frame, self.step = strand, frame, step
        self.around = frame.item
        self.plan: MapPlan = step.map
        self.body = step.body
        self.run = strand.run
        self.base = step.call(frame.slots)
        measured = step.measured or self.run.keeps
        self.columns = Columns(step, everything=self.run.keeps)
        self.latencies = Latencies() if measured else None
        self._failures = Collected() if self.plan.tolerate is not None else None
        self._keys: dict[int, str] = {}
        self.upstream = [read(frame.slots) for read in self.plan.upstream]
        self.sources: list[Source] = []
        self.slots = [one.slot for one in self.plan.each]
        self.slot = self.slots[0] if len(self.slots) == 1 else None
        self.total: int | None = None
        self.pull: Callable[[], Any] = self._pull_all
        self._pull_one = self.pull  # what batches are made of
        self._left_out: list[Any] = []
        self.taken = 0
        self.domain = Domain(self.run.loop, strand.task, strand.domain, fatal=True, around=frame)
        self.pulling = asyncio.Lock()
        self.exhausted = False
        self.done = 0
        self.active = 1
        self.awaiting = 0
        self._growing = False
        # Whether nothing but the body is to be done for an item: no name, no clock, nobody to tell.
        self.plain = self.run.tracing is None and not (
            self.upstream or measured or self.plan.key is not None or self.plan.item_timeout_s is not None
        )
        self._held: list[Any] = [WAIT] * len(self.slots)
        self._batch: list[Any] = []

    def open_sources(self) -> None:
        """Open the sources, and compare their lengths where they are known."""
        for one in self.plan.each:
            value = one.source(self.frame.slots)
            self.sources.append(open_source(value, self.run, one.pull, one.where, one.spent, self.plan.first))
        self.frame.entered(self.step)
        first = self.plan.first
        sizes = [
            source.size if first is None or source.size is None else min(source.size, first) for source in self.sources
        ]
        known = [size for size in sizes if size is not None]
        if len(set(known)) > 1:
            raise self._unequal(", ".join(f"{e.name}: {size}" for e, size in zip(self.plan.each, sizes, strict=True)))
        self.total = known[0] if len(known) == len(sizes) else None
        if len(self.sources) == 1:
            self.pull = self.sources[0].now
        if self.plan.batch is not None:
            self._pull_one, self.pull = self.pull, self._pull_batch
            self._left_out, self.upstream = self.upstream, []
            self._look_every = _LOOK_EVERY if all(type(source) is ListSource for source in self.sources) else 1
            if self.total is not None:
                self.total = -(-self.total // self.plan.batch) if not self._left_out else None

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

    def _pull_batch(self) -> Any:
        """The next list of items, without those that failed in a map before."""
        size, batch = self.plan.batch, self._batch
        assert size is not None
        while len(batch) < size:
            values = self._pull_one()
            if values is WAIT:
                return WAIT
            if values is DONE:
                break
            index, self.taken = self.taken, self.taken + 1
            if not self._left_out or _failed_in(self._left_out, index) is None:
                batch.append(values)
            if not self.taken % self._look_every and len(batch) < size and self.run.budget.spent():
                return WAIT  # there is nothing to wait for, but others are to have a turn
        if not batch:
            return DONE
        self._batch = []
        return batch if len(self.sources) == 1 else [list(column) for column in zip(*batch, strict=True)]

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

    def forget(self) -> None:
        """It has ended: let go of what it held, or the kept failures of its items would hold it too."""
        self.exhausted = True  # for ``_grow``, which may still be called
        del self.frame, self.base, self.columns, self.upstream, self.sources, self.pull, self._pull_one
        del self._left_out, self._held, self._batch

    # --- items --------------------------------------------------------------------------------------------
    def open(self, values: Any, spare: Frame | None) -> tuple[int, Frame]:
        """The frame of the next item: ``spare``, of one that has ended well, made anew, if there is one."""
        columns = self.columns
        index = columns.count
        if index == columns.room:
            columns.make_room()
        columns.count = index + 1
        slots = self.base.copy()
        slots[0] = {}
        if self.slot is not None:
            slots[self.slot] = values
        elif len(self.slots) > 1:
            for slot, value in zip(self.slots, values, strict=True):
                if slot is not None:
                    slots[slot] = value
        item = (*self.around, index)
        if spare is None:
            return index, Frame(self.body, slots, None, item)
        spare.slots = slots
        spare.countdowns = self.body.countdowns.copy()
        spare.left = self.body.ends
        spare.marks = None
        spare.item = item
        return index, spare

    def name(self, index: int, values: Any) -> BaseException | None:
        """Note how the item is called in errors and events; what the key function raised, if it did."""
        key = self.plan.key
        assert key is not None
        try:
            self._keys[index] = str(copy_context().run(key, values if len(self.sources) == 1 else values[0]))
        except Exception as exc:
            exc.add_note(f"Hush: while asking key= of {self.step.path} for the name of an item")
            self.run.locate(exc, (*self.frame.item, index), self.step)
            return exc
        return None

    def failed_upstream(self, index: int) -> Any:
        """The error with which this item failed in a map before, if it did."""
        return _failed_in(self.upstream, index)

    def finish(self, index: int, frame: Frame, by: asyncio.Task[Any]) -> None:
        """An item's body is complete."""
        out = frame.slots[0] if frame.marks is None and not self.body.several_writers else frame.outputs()
        self.finish_with(index, out, by)

    def finish_with(self, index: int, out: dict[str, Any], by: asyncio.Task[Any]) -> None:
        """An item has given ``out``."""
        error = self.columns.put(index, out)
        self.done += 1
        if error is not None:
            self._failed(index, error, by, collects=True)
            return
        if self.plain:
            return
        if self.run.tracing is not None:
            self.run.tracing.item_finished(self.step, (*self.frame.item, index), self._keys.get(index), out)
        if self._keys:
            self._keys.pop(index, None)

    def _reported(self, index: int, error: Any) -> BaseException:
        """The exception for an item that failed, or that reported an error as a value."""
        failure = error if isinstance(error, BaseException) else ReportedError(error)
        self.run.locate(failure, (*self.frame.item, index), self.step)
        return failure

    def fail(self, index: int, error: Any, by: asyncio.Task[Any] | None) -> None:
        """An item failed: collect it, or end the map."""
        self.columns.fail(index, error)
        self.done += 1
        collects = not isinstance(error, BaseException) or is_ordinary(error)
        self._failed(index, error, by, collects=collects)

    def _failed(self, index: int, error: Any, by: asyncio.Task[Any] | None, *, collects: bool) -> None:
        item = (*self.frame.item, index)
        key = self._keys.pop(index, None) if self._keys else None
        if isinstance(error, BaseException):
            self.run.note_round(error, self.domain.round(self.frame))
            if key is not None:
                self.run.note_key(error, index, key)
        if collects and not self.plan.fail_fast:
            self.run.collect(error, self.step.path, item, partial=True)
        if self.run.tracing is not None:
            self.run.tracing.item_failed(self.step, item, key, error)
        if not collects or self.plan.fail_fast:
            self.domain.fail(self._reported(index, error), by)
        elif self._failures is not None:
            self._failures.add(error, item)
            if self.total is not None or self.plan.tolerate.fraction is None:  # type: ignore[union-attr]
                failure = self.too_many(self.total)
                if failure is not None and not self.domain.closing:
                    self.exhausted = True
                    self.domain.fail(failure, by)

    def too_many(self, total: int | None) -> TooManyFailures | None:
        """The failure of a map in which more items failed than it tolerates, of ``total`` where that is known."""
        tolerate, failures = self.plan.tolerate, self._failures
        if tolerate is None or failures is None or not failures.total:
            return None
        count, fraction, failed = tolerate.count, tolerate.fraction, failures.total
        if count is not None and failed > count:
            bound = f"count={count}"
        elif fraction is not None and total is not None and failed / total > fraction:
            bound = f"fraction={fraction:g}"
        else:
            return None
        errors = [error for _, _, error in failures.kept]
        of = total if total is not None else self.columns.count
        error = TooManyFailures(
            f"{failed} of {of} items of {self.step.path} failed, more than Tolerate({bound}) allows; the first: "
            f"{type(errors[0]).__name__}: {errors[0]} ({self.step.where})",
            failed,
            of,
            errors[:KEPT_ERRORS],
        )
        error.__cause__ = errors[0]
        return error

    def timed_out(self, index: int) -> NodeTimeout:
        """The error of an item that took longer than ``item_timeout_s``."""
        error = NodeTimeout(
            f"item {index} of {self.step.path} took longer than item_timeout_s={self.plan.item_timeout_s:g} "
            f"({self.step.where})"
        )
        self.run.locate(error, (*self.frame.item, index), self.step)
        return error

    def outputs(self) -> dict[str, Any]:
        """The columns, and the metrics if somebody reads them."""
        out: dict[str, Any] = self.columns.lists()
        if self.latencies is not None:
            failed = self.columns.failed
            out[METRICS] = self.latencies.metrics(self.done - failed, failed)
        return out

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
        self.domain.spawn(self._hire(self), self.step.path, context)


def _failed_in(columns: list[Any], index: int) -> Any:
    """The first error at ``index`` of some ``error`` columns."""
    for errors in columns:
        if errors is not None and index < len(errors) and errors[index] is not None:
            return errors[index]
    return None
