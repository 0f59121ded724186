"""``Fanout``: one activation of a map: what it pulls, what its items gave, and how many workers it has.

worker 0    the task that awaits the map
the others  started when an item has suspended, twice as many each time, up to ``max_concurrency``
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from hush.core._plan._model import MapPlan, StepPlan
from hush.core._runtime._channel import Channel
from hush.core._runtime._columns import Columns
from hush.core._runtime._domain import Domain, Member, is_ordinary
from hush.core._runtime._feed import Feed
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._metrics import Latencies
from hush.core._runtime._run import KEPT_ERRORS, Collected
from hush.core._runtime._sources import CHUNK
from hush.core._runtime._strand import Strand
from hush.core._spec._model import ERROR, METRICS
from hush.core.errors import MissingKeyError, NodeTimeout, ReportedError, TooManyFailures, missing_key

if TYPE_CHECKING:  # imported when a run first has a tracer
    from hush.core._runtime._summing import Summing
    from hush.core._runtime._tracing import Tracing


class Fanout:
    """One activation of a map.

    Attributes:
        domain: Of the workers.
        pull: Gives the value of the next item (a list of them for several ``Each``), ``WAIT`` or ``DONE``.
        feed: Where its items come from; ``channel``: where they go, if another map streams from it.
        total: The number of items, where it is known before.
        said: The same, or what the source says of it, to be shown.
        first_worker: The one in the task that awaits the map.
        done: How many items have ended.
        plain: Whether nothing but the body is to be done for an item: no name, no clock, no limit.
        summing: What tells of its items, if tracers do without each of them.
        taken_keys: Those that the map takes which streams from this one.
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
        self.feed = Feed(step, self.run)
        self.channel: Channel | None = None  # to the map that streams from this one
        self.window = self.plan.window if self.plan.window is not None else self.plan.max_concurrency + CHUNK
        self._most_workers = min(self.plan.max_concurrency, self.window)
        self.taken_keys: frozenset[str] = frozenset()  # by the map that streams from this one
        self._lacked: set[str] = set()
        self.slots = [one.slot for one in self.plan.each]
        self.slot = self.slots[0] if len(self.slots) == 1 else None
        self.total: int | None = None
        self.said: int | None = None
        self.pull: Callable[[], Any] = self.feed.pull
        self.domain = Domain(self.run.loop, strand.task, strand.domain, fatal=True, around=frame)
        self.first_worker: Member | None = None
        self.exhausted = False
        # Of the item that is being settled, if it ran in another process: how long it took, and when it ended there.
        self.ran: tuple[int, ...] = ()
        self._ran_lacking: dict[int, tuple[int, ...]] = {}
        self.done = 0
        self.active = 1
        self.awaiting = 0
        self._growing = False
        self.summing: Summing | None = None
        self.plain = not (measured or self.plan.key is not None or self.plan.item_timeout_s is not None)

    def begin(self, ready: Ready) -> None:
        """Open the sources, and make what streams from this map ready if it waits for nothing else."""
        feed = self.feed
        feed.open(self.frame)
        self.total, self.said = feed.total, feed.said
        self.pull = feed.pull
        if not feed.plain:
            self.plain = False
        stream = self.plan.stream
        if stream is not None:
            self.plain = False
            self.taken_keys = frozenset(stream.keys) - {ERROR}
            self.channel = Channel(self.run.loop, self.window, self.total, self.said, ordered=stream.ordered)
            self.frame.slots[stream.slot] = self.channel
            self.frame.open_stream(self.step, ready)

    def tell_of_items(self, tracing: Tracing, *, here: bool) -> None:
        """Have its items told: in sums where that is possible, of those that run ``here``, in no other process."""
        if tracing.quick is not None and tracing.samples and here and self.plan.key is None:
            from hush.core._runtime._summing import Summing, is_one_call

            if is_one_call(self.body):
                self.summing = Summing(tracing, tracing.quick, self)
        if self.summing is None:
            self.plain = False

    # --- pulling ------------------------------------------------------------------------------------------
    def full(self) -> bool:
        """Whether the map that streams from this one must take items before more are pulled."""
        return self.channel is not None and self.channel.full(self.columns.count)

    def widen(self, window: int) -> None:
        """Let so many items be pulled and not finished, if that was left to the engine: whole chunks of them."""
        if self.plan.window is None and window > self.window:
            self.window = window
            if self.channel is not None:
                self.channel.window = window

    def _pulled(self) -> int:
        return self.columns.count

    async def fill(self, cancelled: Callable[[], None]) -> None:
        """Wait until there is room for an item, and one is at hand; one worker at a time."""
        async with self.feed.pulling:
            if self.channel is not None and self.full():
                await self.channel.wait_for_room(self._pulled)
                return
            await self.feed.fill(self.domain, cancelled, self._room())

    async def fill_by(self, until_s: float | None) -> None:
        """Wait until an item is at hand, but no longer than ``until_s`` on the loop's clock; all workers at a time.

        Without ``until_s``, wait for room too.
        """
        if until_s is None and self.channel is not None and self.full():
            async with self.feed.pulling:
                await self.channel.wait_for_room(self._pulled)
            return
        await self.feed.fill_by(until_s, self.domain, self._room())

    def _room(self) -> int:
        """How many items a source may pull ahead."""
        streams = self.channel is not None and self.channel.wanted
        under_way = self.columns.count - (self.channel.taken if streams else self.done)  # type: ignore[union-attr]
        return max(1, self.window - under_way)

    def stop_pulling(self, error: BaseException, by: asyncio.Task[Any]) -> None:
        """The source failed."""
        self.exhausted = True
        self.domain.fail(error, by)

    async def end(self) -> None:
        """Take no more from the maps that this one streams from, and wait until they have ended too.

        So what comes after this map comes after them, as if it had waited for them before it began.
        """
        channels = self.feed.channels
        for channel in channels:
            channel.abandon()
        for channel in channels:
            await channel.wait_for_end()

    def forget(self) -> None:
        """It has ended: let go of what it held, or the kept failures of its items would hold it too."""
        self.exhausted = True  # for ``_grow``, which may still be called
        self.feed.forget()
        del self.frame, self.base, self.columns, self.pull

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

    def item(self, index: int) -> tuple[int, ...]:
        """Where an item stands in this map and those around it."""
        return (*self.around, index)

    def reserve(self, count: int) -> int:
        """Places for ``count`` more items, which run elsewhere; the index of the first."""
        columns = self.columns
        first = columns.count
        columns.count = first + count
        while columns.count > columns.room:
            columns.make_room()
        return first

    def name(self, index: int, values: Any) -> BaseException | None:
        """Note how the item is called in errors and events; what the key function raised, if it did."""
        key = self.plan.key
        assert key is not None
        try:
            self._keys[index] = str(copy_context().run(key, values if len(self.slots) == 1 else values[0]))
        except Exception as exc:
            exc.add_note(f"Hush: while asking key= of {self.step.path} for the name of an item")
            self.run.locate(exc, self.item(index), self.step)
            return exc
        return None

    def finish(self, index: int, out: dict[str, Any], by: asyncio.Task[Any]) -> None:
        """An item's body is complete, and has given ``out``."""
        error = self.columns.put(index, out)
        self.done += 1
        if error is not None:
            if self.channel is not None:
                self.channel.put(index, out, error)
            # One that has failed a node, or an item of a map before, has been counted there.
            self._failed(index, error, by, collects=True, travelled=self.run.has_located(error))
            return
        if self.plain and self.summing is None:
            return
        if self.channel is not None:
            if not out.keys() >= self.taken_keys:
                self.done -= 1
                self.fail(index, self._lacking(index, out), by)
                return
            self.channel.put(index, out, None)
        if self.summing is not None and index in self.summing.summed:
            self.summing.summed.remove(index)
            self.summing.items += 1
            return
        if (self.run.tracing is not None or self._keys) and self.columns.lacks(out):
            if self.ran:
                self._ran_lacking[index] = self.ran
            return  # it is told of at the end, as one that has failed, by its name
        if self.summing is not None:
            self.summing.item_finished(index)
        elif self.run.tracing is not None:
            count = self.done, self.columns.failed
            key = self._keys.get(index) if self._keys else None
            self.run.tracing.item_finished(self.step, self.around, index, key, out, count, *self.ran)
        if self._keys:
            self._keys.pop(index, None)

    def wanted(self) -> frozenset[str] | None:
        """The keys of what an item gives that somebody reads; ``None`` if that may be any."""
        tracing = self.run.tracing
        wanted = self.columns.wanted()
        if wanted is None or (tracing is not None and tracing.items_of == self.step.path):
            return None
        return wanted | self.taken_keys | {ERROR}

    @property
    def timed(self) -> bool:
        """Whether somebody asks how long each item took, and when."""
        tracing = self.run.tracing
        return self.latencies is not None or (tracing is not None and tracing.sees_calls)

    def finish_run(self, first: int, count: int, keys: Sequence[str], given: Mapping[str, list[Any]]) -> None:
        """Items in a row have ended well, and gave these columns, and no ``error``.

        Only where nobody is told of each of them.
        """
        self.columns.put_run(first, count, keys, given)
        self.done += count

    def _lacking(self, index: int, out: Mapping[str, Any]) -> MissingKeyError:
        """The error of an item that lacks a key which the map that streams from this one takes."""
        lacked = sorted(self.taken_keys - out.keys())
        self._lacked.update(lacked)
        error = missing_key(f"item {index} of {self.step.path}", lacked[0], out)
        self.run.locate(error, self.item(index), self.step)
        return error

    def _reported(self, index: int, error: Any) -> BaseException:
        """The exception for an item that failed, or that reported an error as a value."""
        failure = error if isinstance(error, BaseException) else ReportedError(error)
        self.run.locate(failure, self.item(index), self.step)
        return failure

    def fail(self, index: int, error: Any, by: asyncio.Task[Any] | None, *, travelled: bool = False) -> None:
        """An item failed, or had failed in a map before if its failure ``travelled``: collect it, or end the map."""
        self.columns.fail(index, error)
        self.done += 1
        if self.channel is not None:
            self.channel.put(index, None, error)
        collects = not isinstance(error, BaseException) or is_ordinary(error)
        self._failed(index, error, by, collects=collects, travelled=travelled)

    def _failed(
        self, index: int, error: Any, by: asyncio.Task[Any] | None, *, collects: bool, travelled: bool = False
    ) -> None:
        item = self.item(index)
        key = self._keys.pop(index, None) if self._keys else None
        if isinstance(error, BaseException):
            self.run.note_round(error, self.domain.round(self.frame))
            if key is not None:
                self.run.note_key(error, index, key)
        if collects and not self.plan.fail_fast:
            self.run.partial = True
            if not travelled:  # else it has been counted where it failed
                self.run.collect(error, self.step.path, item, partial=True)
        if self.summing is not None:
            self.summing.forget(index)
        if self.run.tracing is not None:
            count = self.done, self.columns.failed
            self.run.tracing.item_failed(self.step, item, key, error, count, *self.ran)
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
        self.run.locate(error, self.item(index), self.step)
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
            self.columns.require(self._lacked)
            for index, error in self.columns.lacking():
                self.run.locate(error, self.item(index), self.step)
                self.done -= 1
                self.ran = self._ran_lacking.get(index, ())
                self.fail(index, error, self.domain.host)
                if self.plan.fail_fast:
                    return error
        except KeyError as exc:
            return exc
        return None

    # --- workers ------------------------------------------------------------------------------------------
    def suspending(self) -> None:
        """A worker is about to await its item: if it really suspends, there is room for others."""
        if not self._growing and self.active < self._most_workers and not self.exhausted:
            self._growing = True
            self.run.loop.call_soon(self._grow)

    def _grow(self) -> None:
        self._growing = False
        if self.domain.closing or self.exhausted or not self.awaiting or self.full():
            return
        more = min(self.active, self._most_workers - self.active)
        if self.total is not None:
            more = min(more, self.total - self.columns.count)
        for _ in range(more):
            self.spawn(None)

    def spawn(self, context: Context | None) -> None:
        """One more worker."""
        self.active += 1
        self.domain.spawn(self._hire(self), self.step.path, context)
