"""``Feed``: what one activation of a map goes through: its sources, zipped, and put together into batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hush.core._plan._model import StepPlan
from hush.core._runtime._channel import Channel, Reader
from hush.core._runtime._domain import Domain, combined
from hush.core._runtime._frame import Frame
from hush.core._runtime._iterator_source import IteratorSource
from hush.core._runtime._open_source import open_source, said_length
from hush.core._runtime._run import Run
from hush.core._runtime._sources import DONE, WAIT, ListSource, Source
from hush.core.errors import SourceError

_STRETCH = 256
"""So many items go into a batch, at most, between two looks at the clock."""


class Feed:
    """The sources of one activation of a map.

    Attributes:
        pull: Gives the value of the next item (a list of them for several ``Each``), ``WAIT`` or ``DONE``.
        total: The number of items, where it is known before.
        said: The same, or what a source with a length of its own says: to be shown, and nothing is decided by it.
        plain: Whether no item can have failed before.
        quick: Whether pulling takes no time worth measuring.
        channels: Those of the maps that this one streams from.
        take: Gives the values of several items, where the only source can; none where ``pull`` has something to say.
    """

    def __init__(self, step: StepPlan, run: Run) -> None:
        assert step.map is not None
        self._step, self._plan, self._run = step, step.map, run
        self._sources: list[Source] = []
        # Where it stands what failed in the maps that it goes through, the first to be asked first: with what reads the
        # item at hand where it streams, else in the ``error`` column.
        self._failed: list[Reader | Sequence[Any]] = []
        self.channels: list[Channel] = []
        self.pull: Callable[[], Any] = self._pull_all
        self._pull_one = self.pull  # what batches are made of
        self._items = 0  # pulled so far, before batches
        self._held: list[Any] = []
        self._batch: list[Any] = []
        self._due_s = 0.0  # when the batch at hand is handed over, however few it has
        self._filler: Filler | None = None
        self._take: Callable[[int], list[Any]] | None = None  # the same, of what batches are made of
        self.take: Callable[[int], list[Any]] | None = None
        self.pulling = asyncio.Lock()
        self.total: int | None = None
        self.said: int | None = None
        self.plain = True
        self.quick = True

    def open(self, frame: Frame) -> None:
        """Open the sources, and compare their lengths where they are known."""
        plan, first = self._plan, self._plan.first
        readers: dict[int, Reader] = {}
        said: list[int | None] = []
        for one in plan.each:
            value = one.source(frame.slots)
            if isinstance(value, Channel):
                reader = readers.get(id(value))
                if reader is None:
                    reader = readers[id(value)] = Reader(value, first)
                    self.channels.append(value)
                assert one.column is not None
                self._sources.append(reader.column(one.column))
                said.append(value.said)
            else:
                source = open_source(value, self._run, one, self._step, frame)
                self._sources.append(source)
                said.append(said_length(value) if source.size is None else source.size)
        upstream = [read(frame.slots) for read in plan.upstream]
        self._failed = [readers[id(one)] if isinstance(one, Channel) else one for one in upstream if one is not None]
        frame.entered(self._step)
        self._held = [WAIT] * len(self._sources)
        sizes = [
            source.size if first is None or source.size is None else min(source.size, first) for source in self._sources
        ]
        known = [size for size in sizes if size is not None]
        if len(set(known)) > 1:
            raise self._unequal(", ".join(f"{e.name}: {size}" for e, size in zip(plan.each, sizes, strict=True)))
        self.total = known[0] if len(known) == len(sizes) else None
        least = {one if first is None or one is None else min(one, first) for one in said}
        self.said = least.pop() if len(least) == 1 else None
        if len(self._sources) == 1:
            self.pull = self._sources[0].now
        self.plain = not self._failed
        self.quick = all(type(source) is ListSource for source in self._sources)
        only = self._sources[0] if len(self._sources) == 1 and self.plain else None
        if isinstance(only, ListSource | IteratorSource):
            self.take = only.take
        if plan.batch is not None:
            self._pull_one, self.pull = self.pull, self._pull_batch
            self._take, self.take = self.take, None
            if self.total is not None:
                self.total = -(-self.total // plan.batch) if self.plain else None
            if self.said is not None:
                self.said = -(-self.said // plan.batch) if self.plain else None

    def _unequal(self, lengths: str) -> SourceError:
        step = self._step
        return SourceError(f"the Each inputs of {step.path} must have the same length ({lengths}; {step.where})")

    def failed_before(self, index: int) -> Any:
        """The error with which the item just pulled failed in a map before, if it did; ``None`` of a batch."""
        if self._plan.batch is not None:
            return None  # those that failed are left out of it
        return self._failed_before(index)

    def _failed_before(self, index: int) -> Any:
        for before in self._failed:
            if isinstance(before, Reader):
                error = before.error
            else:
                error = before[index] if index < len(before) else None
            if error is not None:
                return error
        return None

    # --- pulling --------------------------------------------------------------------------------------------
    def _pull_all(self) -> Any:
        """The values of the next item of several sources, ``WAIT`` or ``DONE``."""
        held = self._held
        for place, source in enumerate(self._sources):
            if held[place] is WAIT:
                held[place] = source.now()
        if any(value is WAIT for value in held):
            return WAIT
        ended = [value is DONE for value in held]
        if any(ended):
            if not all(ended):
                shortest = self._plan.each[ended.index(True)].name
                raise self._unequal(f"{shortest} has {self._items}, another has more")
            return DONE
        self._held = [WAIT] * len(held)
        if self._plan.batch is None:
            self._items += 1
        return held

    def _pull_batch(self) -> Any:
        """The next list of items, without those that failed in a map before."""
        size, batch, wait_s = self._plan.batch, self._batch, self._plan.batch_wait_s
        assert size is not None
        while len(batch) < size:
            if self._take is not None and (some := self._take(min(_STRETCH, size - len(batch)))):
                if wait_s is not None and not batch:
                    self._due_s = self._run.loop.time() + wait_s
                batch += some
                self._items += len(some)
                if len(batch) < size and self._run.budget.spent():
                    return WAIT  # there is nothing to wait for, but others are to have a turn
                continue
            values = self._pull_one()
            if values is WAIT:
                if wait_s is None or not batch or self._run.loop.time() < self._due_s:
                    return WAIT
                break
            if values is DONE:
                break
            index, self._items = self._items, self._items + 1
            if self.plain or self._failed_before(index) is None:
                if wait_s is not None and not batch:
                    self._due_s = self._run.loop.time() + wait_s
                batch.append(values)
            if len(batch) < size and self._run.budget.spent():
                return WAIT
        if not batch:
            return DONE
        self._batch = []
        return batch if len(self._sources) == 1 else [list(column) for column in zip(*batch, strict=True)]

    async def fill(self, domain: Domain, cancelled: Callable[[], None], most: int) -> None:
        """Wait until each source has a value at hand, or the batch at hand is due. One worker at a time.

        ``most`` items may be pulled ahead; ``cancelled`` is called when the wait is cancelled and lingers.
        """
        plan = self._plan
        if plan.batch is not None:
            most *= plan.batch
        if plan.batch_wait_s is None or not self._waits():
            await self._fill(cancelled, most)
            return
        # The batch may be due before a source has anything, and what waits for a source cannot be called back without
        # breaking it: so that is left to a task of its own.
        await self._wait_for_filler(domain, most, self._due_s if self._batch else None)

    async def fill_by(self, until_s: float | None, domain: Domain, most: int) -> None:
        """Like ``fill``, but come back by ``until_s`` on the loop's clock at the latest; for any number of workers."""
        plan = self._plan
        if plan.batch is not None:
            most *= plan.batch
            if plan.batch_wait_s is not None and self._batch:
                until_s = self._due_s if until_s is None else min(until_s, self._due_s)
        await self._wait_for_filler(domain, most, until_s)

    async def _wait_for_filler(self, domain: Domain, most: int, until_s: float | None) -> None:
        filler = self._filler
        if filler is None:
            filler = self._filler = Filler(self, domain, most)
            domain.spawn(filler, f"{self._step.path}: filling")
        await filler.wait(until_s)
        if filler.done and self._filler is filler:
            self._filler = None
            if filler.error is not None:
                raise filler.error

    @property
    def waits(self) -> bool:
        """Whether somebody waits for a source, or for room."""
        return self.pulling.locked() or self._filler is not None

    def _waits(self) -> bool:
        return self._filler is not None or len(self._sources) == 1 or any(value is WAIT for value in self._held)

    async def _fill(self, cancelled: Callable[[], None], most: int) -> None:
        for value, source in zip(self._held, self._sources, strict=True):
            if value is WAIT:
                await source.fill(cancelled, most)

    # --- the end --------------------------------------------------------------------------------------------
    async def close(
        self, failure: BaseException | None, cancelled: asyncio.CancelledError | None
    ) -> tuple[BaseException | None, asyncio.CancelledError | None]:
        """Close what must be closed, whatever happens meanwhile; an error in that is a failure of the map."""
        for source in self._sources:
            try:
                await source.close()
            except asyncio.CancelledError as exc:
                cancelled = exc
            except BaseException as exc:
                failure = combined([failure, exc]) if failure is not None else exc
        return failure, cancelled

    def forget(self) -> None:
        """It has ended: let go of what it held."""
        self._sources, self._failed, self._held, self._batch = [], [], [], []
        self.pull = self._pull_one = self._pull_all
        self._take = self.take = None


class Filler:
    """Waits for the sources of a feed in a task of its own, so that a batch can be handed over meanwhile.

    Attributes:
        done: Whether each source has something at hand.
        error: What a source raised.
    """

    def __init__(self, feed: Feed, domain: Domain, most: int) -> None:
        self.task: Any = None
        self._feed, self._domain, self._most = feed, domain, most
        self._waiters: list[asyncio.Future[None]] = []
        self.done = False
        self.error: BaseException | None = None

    async def work(self) -> None:
        """Fill the feed once."""
        try:
            await self._feed._fill(_nobody, self._most)
        except asyncio.CancelledError as exc:
            if not self._domain.closing:
                self.error = exc  # a source raised it
        except BaseException as exc:  # its place is reached when a worker asks for more
            self.error = exc
        finally:
            self.done = True
            for waiter in self._waiters:
                _wake(waiter)
            self._domain.leave(self)

    def stop(self) -> None:
        """Nothing has begun."""

    async def wait(self, until_s: float | None) -> None:
        """Wait until it is done, or until ``until_s`` on the loop's clock."""
        if self.done:
            return
        loop = self._domain.loop
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        timer = None if until_s is None else loop.call_at(until_s, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)
            if timer is not None:
                timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _nobody() -> None:
    """Nobody waits for the filler in a step of his own."""
