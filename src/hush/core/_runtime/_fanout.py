"""``Fanout``: one activation of a map: what it pulls, the frames of its items, and how many workers it has.

worker 0    the task that awaits the map
the others  started when an item has suspended, twice as many each time, up to ``max_concurrency``
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from hush.core._plan._model import StepPlan
from hush.core._runtime._channel import Channel
from hush.core._runtime._domain import Member
from hush.core._runtime._feed import Feed
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._item_ends import ItemEnds
from hush.core._runtime._sources import CHUNK
from hush.core._runtime._strand import Strand
from hush.core._spec._model import ERROR

if TYPE_CHECKING:  # imported when a run first has a tracer
    from hush.core._runtime._tracing import Tracing


class Fanout(ItemEnds):
    """One activation of a map, from the pulling of its items to their begin.

    Attributes:
        pull: Gives the value of the next item (a list of them for several ``Each``), ``WAIT`` or ``DONE``.
        feed: Where its items come from.
        said: ``total``, or what the source says of it, to be shown.
        first_worker: The one in the task that awaits the map.
        active: How many workers there are.
        awaiting: How many of them wait for their item.
    """

    __slots__ = (
        "_counts_down",
        "_growing",
        "_hire",
        "_most_workers",
        "active",
        "awaiting",
        "base",
        "body",
        "feed",
        "first_worker",
        "pull",
        "said",
        "slot",
        "slots",
        "strand",
        "window",
    )

    def __init__(self, strand: Strand, frame: Frame, step: StepPlan, hire: Callable[[Fanout], Member]) -> None:
        super().__init__(strand, frame, step)
        assert step.body is not None
        self._hire = hire
        self.strand = strand
        self.body = step.body
        self._counts_down = len(step.body.steps) > 1  # else nothing waits in a frame, and no two read a value
        self.base = step.call(frame.slots)
        self.feed = Feed(step, self.run)
        self.window = self.plan.window if self.plan.window is not None else self.plan.max_concurrency + CHUNK
        self._most_workers = min(self.plan.max_concurrency, self.window)
        self.slots = [one.slot for one in self.plan.each]
        self.slot = self.slots[0] if len(self.slots) == 1 else None
        self.said: int | None = None
        self.pull: Callable[[], Any] = self.feed.pull
        self.first_worker: Member | None = None
        self.active = 1
        self.awaiting = 0
        self._growing = False

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
        under_way = self.columns.count - (self.channel.taken if streams else self.ended)  # type: ignore[union-attr]
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
        self.forget_items()
        del self.base, self.pull

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
        item = (*self.around, index) if self.around else (index,)
        if spare is None:
            return index, Frame(self.body, slots, None, item)
        spare.slots = slots
        if self._counts_down:
            spare.countdowns = self.body.countdowns.copy()
        spare.left = self.body.ends
        spare.marks = None
        spare.item = item
        return index, spare

    def reserve(self, count: int) -> int:
        """Places for ``count`` more items, which run elsewhere; the index of the first."""
        columns = self.columns
        first = columns.count
        columns.count = first + count
        while columns.count > columns.room:
            columns.make_room()
        return first

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
