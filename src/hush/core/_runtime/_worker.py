"""Maps: a fixed set of workers that pull items from one source, never a task for each item.

A worker pulls an item, makes a frame of the body for it and drives it. Where the body is synchronous it goes on with
the next at once, so such a map makes no task. An item is a failure domain of its own: its worker is the host.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from contextvars import copy_context
from time import perf_counter_ns
from typing import Any

from hush.core._plan._compile import Policies
from hush.core._plan._model import StepPlan
from hush.core._runtime._compound import timed_out
from hush.core._runtime._context import unchanged
from hush.core._runtime._domain import Domain, combined, is_ordinary
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._run import Raised, Run
from hush.core._runtime._settling import inputs_of
from hush.core._runtime._sources import DONE, WAIT, Signal
from hush.core._runtime._strand import HostStrand, Strand
from hush.core.errors import FailureInfo


async def run_map(strand: Strand, frame: Frame, step: StepPlan, apart: Policies | None = None) -> Any:
    """Run one activation of a map; give its columns. ``apart`` are the policies of a body in worker processes."""
    run, tracing = strand.run, strand.run.tracing
    hire: Any = Worker if apart is None or run.inline_only else _remote(run, frame, step, apart)
    fanout = Fanout(strand, frame, step, hire)
    run.maps.add(fanout)
    if tracing is not None and tracing.sees_calls:
        tracing.container_called(frame, step, inputs_of(step, fanout.base))
    failure: BaseException | None = None
    cancelled: CancelledError | None = None
    timer = None
    if step.timeout_s is not None:
        timer = run.loop.call_later(step.timeout_s, lambda: fanout.domain.fail(timed_out(step)))
    try:
        ready: Ready = []
        fanout.begin(ready)
        if tracing is not None:
            tracing.map_started(frame, step, fanout.said)
            tracing.became_ready(ready)
            fanout.tell_of_items(tracing, here=hire is Worker)
        fanout.bare = fanout.plain and fanout.summing is None
        if ready:
            strand.hand_on(ready)
        worker = fanout.first_worker = hire(fanout, strand.task, fanout.domain.floor)
        failure = await fanout.domain.conduct(worker.work)
        failure = fanout.decide(failure)
        if failure is None:
            failure = fanout.too_many(fanout.columns.count)
        if failure is None:
            if fanout.channel is not None:
                fanout.channel.close()
            await fanout.end()
    except CancelledError as exc:
        cancelled = exc
    except BaseException as exc:  # a source that cannot be gone through: the map's own failure
        failure = exc
    if timer is not None:
        timer.cancel()
    failure, cancelled = await fanout.feed.close(failure, cancelled)
    if hire is not Worker:
        await hire.close()
        if failure is None and cancelled is None and strand.task.cancelling() > strand.floor:
            cancelled = CancelledError()
    run.maps.discard(fanout)
    fanout.first_worker = None
    if fanout.summing is not None:
        fanout.summing.close()
    if tracing is not None:
        tracing.map_finished(frame, step, fanout.done, fanout.columns.failed)
    return _outcome(fanout, failure, cancelled)


def _outcome(fanout: Fanout, failure: BaseException | None, cancelled: CancelledError | None) -> Any:
    """What a map that has ended gives, after which it holds nothing any more."""
    try:
        if failure is not None:
            fanout.run.locate(failure, fanout.frame.item, fanout.step)
            info = failure.__dict__.get("hush")
            if isinstance(info, FailureInfo) and info.columns is None:
                info.columns = fanout.columns.lists()
            return Raised(failure)
        if cancelled is not None:
            raise cancelled
        out = fanout.outputs()
        if fanout.channel is not None:
            fanout.channel.end()
        return out
    finally:
        fanout.forget()


def _remote(run: Run, frame: Frame, step: StepPlan, policies: Policies) -> Any:
    """Who hires the workers of a process map, imported only where there is one."""
    from hush.core._runtime._remote import HiredCrew

    return HiredCrew(run, frame, step, policies)


_LOOK_EVERY = 64
"""Of items that failed upstream, and so cost nothing, every so many look at the clock."""


class Worker:
    """One worker of a map: pulls items and hosts them, one after the other.

    Its strand asks it for more work whenever an item's steps have run, so a run of synchronous items is one stretch.

    Attributes:
        index: The item at hand, with its ``frame``; no frame between items.
        signal: Why there is no next item at hand: ``WAIT`` or ``DONE``.
    """

    __slots__ = (
        "_began_ns",
        "_began_s",
        "domain",
        "fanout",
        "floor",
        "frame",
        "index",
        "signal",
        "spawned",
        "strand",
        "task",
    )

    task: Any  # an asyncio.Task, once it has begun
    domain: Domain
    strand: HostStrand

    def __init__(self, fanout: Fanout, host: asyncio.Task[Any] | None = None, floor: int = 0) -> None:
        self.fanout = fanout
        self.spawned = host is None
        self.task = host
        self.floor = floor
        self.index = -1
        self.frame: Frame | None = None
        self.signal: Signal = WAIT
        self._began_ns = 0
        self._began_s = 0.0

    async def work(self) -> None:
        """Pull and run items until there are none. What is raised here goes where a strand's goes."""
        fanout = self.fanout
        if self.task is None:
            self.task = asyncio.current_task()  # an eager task begins before its maker can tell
        assert self.task is not None
        self.domain = Domain(fanout.run.loop, self.task, fanout.domain, fatal=fanout.plan.fail_fast)
        self.strand = HostStrand(fanout.run, self.domain, self.task, self.floor)
        line = None if fanout.summing is None else fanout.summing.line()
        self.strand.quick = line
        try:
            await self._work()
        except BaseException as exc:
            if not self.spawned:
                raise
            if not (isinstance(exc, CancelledError) and fanout.domain.closing):
                fanout.domain.fail(exc, self.task)
        finally:
            self.strand.more = None  # or it and this worker would keep each other alive
            if line is not None:
                line.close()
            if self.spawned:
                fanout.active -= 1
                fanout.domain.leave(self)

    async def _work(self) -> None:
        fanout, strand, budget = self.fanout, self.strand, self.fanout.run.budget
        context, tracing = copy_context(), fanout.run.tracing
        strand.more = self.next_item
        strand.timed = fanout.run.tracing is not None or fanout.plan.key is not None or not fanout.feed.quick
        while True:
            spent = not strand.drive()
            if spent and self.domain.errors and not self.domain.dropped:
                # The item has failed. Told before anything is awaited: a cancellation there would take its place.
                self._settle(combined(self.domain.errors))
            elif spent and self.frame is not None and not (strand.ready or strand.pending or self.domain.dropped):
                self._settle(None)  # it has ended: others may take many turns before this worker has one again
            if tracing is not None and tracing.held and not fanout.domain.closing:  # nobody cancels who failed himself
                await tracing.room()
                self._check_cancelled()
            if strand.pending or self.domain.dropped:
                await self._await_item()
                if not fanout.exhausted and not unchanged(context, copy_context()):
                    # The item set a context variable in this task: the next must not see it.
                    fanout.spawn(context)
                    return
            elif not spent:
                if self.signal is DONE or fanout.domain.closing:  # who has failed by himself is cancelled by nobody
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

    def at_work(self) -> list[int]:
        """The item at hand, for those who ask."""
        return [] if self.frame is None else [self.index]

    def next_item(self, *, awaited: bool = False) -> bool:  # noqa: C901  # once an item: each call is a twentieth of it
        """Settle the item at hand and make the next one ready; ``False`` if it must be awaited, or if there is none.

        The frame of one that ``awaited`` something is not used again: a call that was late may still hold it.
        """
        strand, fanout, domain = self.strand, self.fanout, self.domain
        if strand.pending or domain.dropped:
            return False
        frame, spare = self.frame, None
        if frame is not None:
            if domain.errors:
                self._settle(combined(domain.errors))
            else:
                self.frame = None
                if not awaited:
                    spare = frame
                if not fanout.plain:
                    self._measure()
                # ``Frame.outputs``, of which most items need only this.
                plain = frame.marks is None and not fanout.body.several_writers
                out = frame.slots[0] if plain else frame.outputs()
                error = fanout.columns.put(self.index, out)  # ``ItemEnds.finish``, spelt out
                if error is None and fanout.bare:
                    fanout.done += 1
                else:
                    fanout.taken(self.index, out, error, self.task)
        while True:
            if fanout.domain.closing:
                self.signal = DONE
                return False
            if not fanout.plain and (self._held() or fanout.full()):
                self.signal = WAIT
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
            self.index, frame = fanout.open(values, spare)
            if fanout.plain:
                self.frame = frame
                for step in fanout.body.first:
                    strand.ready.append((frame, step))
                return True
            before = None if fanout.feed.plain else fanout.feed.failed_before(self.index)
            error = self._begin(frame, values, before)
            if error is None:
                return True
            spare = None
            fanout.fail(self.index, error, self.task, travelled=error is before)
            if not self.index % _LOOK_EVERY and fanout.run.budget.must_wait(perf_counter_ns()):
                self.signal = WAIT
                return False

    def _held(self) -> bool:
        """Whether whoever listens to the run cannot take more for now."""
        tracing = self.fanout.run.tracing
        return tracing is not None and tracing.held

    def _begin(self, frame: Frame, values: Any, error: Any) -> Any:
        """Make the first steps of an item ready, with what a map may want besides; the error if it fails before."""
        fanout = self.fanout
        if fanout.plan.key is not None:
            unnamed = fanout.name(self.index, values)
            error = unnamed if error is None else error
        if error is None:
            self.frame = frame
            if fanout.latencies is not None:
                self._began_ns = perf_counter_ns()
            if fanout.plan.item_timeout_s is not None:
                self._began_s = fanout.run.loop.time()
            if fanout.summing is None:
                self.strand.begin(frame)
            else:
                frame.start(self.strand.ready)
        return error

    def _settle(self, failure: BaseException | None) -> None:
        frame, self.frame = self.frame, None
        assert frame is not None
        self._measure()
        if failure is None:
            self.fanout.finish(self.index, frame.outputs(), self.task)
        else:
            self.fanout.fail(self.index, failure, self.task)
            self.domain.reset()

    def _measure(self) -> None:
        if self.fanout.latencies is not None:
            self.fanout.latencies.add(perf_counter_ns() - self._began_ns)

    def _time_out(self) -> None:
        self.domain.fail(self.fanout.timed_out(self.index))

    async def _await_item(self) -> None:
        """Host the rest of the item, in which something is to be awaited."""
        fanout, strand = self.fanout, self.strand
        timer, timeout_s = None, fanout.plan.item_timeout_s
        strand.more = None
        strand.next = self._go_on if timeout_s is None else None
        fanout.awaiting += 1
        fanout.suspending()
        if timeout_s is not None:
            loop = fanout.run.loop
            timer = loop.call_at(max(loop.time(), self._began_s + timeout_s), self._time_out)
        try:
            failure = await self.domain.conduct(strand.work)
        finally:
            fanout.awaiting -= 1
            strand.next = None
            if timer is not None:
                timer.cancel()
        self.domain.reset()
        strand.more = self.next_item
        if failure is None and self.frame is not None:
            self._settle(None)  # before anything else: it may have been told of as ended
        if failure is None or (is_ordinary(failure) and not fanout.plan.fail_fast):
            self._check_cancelled()  # what would have been collected gives way to the cancellation
        if failure is not None:
            if self.frame is None:
                raise failure  # between two items: a fault of the engine
            self._settle(failure)

    def _go_on(self) -> bool:
        """The item at hand has been awaited, and nothing in it failed: settle it, and make the next one ready.

        Unless a cancellation has come meanwhile that something in it swallowed.
        """
        domain, fanout = self.domain, self.fanout
        tracing = fanout.run.tracing
        if domain.errors or domain.closing or self.task.cancelling() > self.floor:
            return False
        if (tracing is not None and tracing.held) or not self.next_item(awaited=True):
            return False
        fanout.suspending()
        return True

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
