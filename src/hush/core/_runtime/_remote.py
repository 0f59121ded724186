"""``RemoteWorker``: a worker of a process map on this side: it pulls chunks and has a worker process run them."""

from __future__ import annotations

import asyncio
import sys
from asyncio import CancelledError
from collections import deque
from functools import partial
from time import perf_counter_ns
from typing import Any, NamedTuple

from hush.core._plan._compile import Policies
from hush.core._plan._model import Plan, StepPlan
from hush.core._runtime._chunks import ChunkRule
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._frame import Frame
from hush.core._runtime._in_process import unfit
from hush.core._runtime._parcels import Parcel, Unloadable, culprit, dumps, pack, reason, unpack, unpack_error
from hush.core._runtime._process_items import Items
from hush.core._runtime._processes import Died, Talk, Unfit, WorkerProcess, pool_of
from hush.core._runtime._run import Run
from hush.core._runtime._sources import DONE, WAIT
from hush.core._runtime._threads import start_in_thread
from hush.core.errors import TransportError, WorkerDied

_LOOK_EVERY = 64
"""Of items that are pulled for a chunk, every so many look at the clock."""
_GATHER_S = 0.005
"""A chunk that is still too small waits for its source so long in all, and not at all for one that took so long before.

Those in hand must not wait for good: the source may give no more until it has heard of them.
"""

Item = tuple[int, Any]
"""An item's index, and its value, or values."""


class Chunk(NamedTuple):
    """Items to be run by one process, one after the other.

    Attributes:
        again: Whether a process died with them. Then each is told of as it ends, so that the next to kill one is known,
            and they are no measure for other chunks.
    """

    items: list[Item]
    again: bool = False


class Crew:
    """What the workers of one activation of a process map share. Calling it gives one more of them."""

    def __init__(self, run: Run, frame: Frame, step: StepPlan, policies: Policies) -> None:
        assert step.map is not None
        self.run = run
        self.step = step
        self.around = frame.item
        self._policies = policies
        most = step.map.max_concurrency
        self.pool = pool_of(run, step.path, most, self._setup)
        self.rule = ChunkRule(most)
        # A window of the user's is shared out: then whoever is free may pull, and it is never passed.
        window = step.map.window
        self.most_workers = 2 * most if window is None else min(2 * most, window)
        self.most_items = None if window is None else window // self.most_workers
        self.fill_s = 0.0  # how long the source took the last time
        self._once = not frame.item and frame.round() is None
        self._base: bytes | None = None

    def __call__(self, fanout: Fanout, host: asyncio.Task[Any] | None = None, floor: int = 0) -> RemoteWorker:
        return RemoteWorker(self, fanout, host, floor)

    def _setup(self) -> bytes:
        assert self.step.map is not None
        assert self.step.map.apart is not None
        try:
            return dumps(partial(Items, self.step.map.apart, self._policies))
        except Exception as exc:
            raise TransportError(
                f"the body of {self.step.path} cannot be sent to a worker process: {reason(exc)} ({self.step.where})"
            ) from exc

    def base(self, fanout: Fanout) -> bytes:
        """What every item is given, as it is sent to a process that does not know it yet."""
        if self._base is None:
            body: Plan = fanout.body
            named = {key: fanout.base[slot] for key, slot in body.inputs.items() if slot not in fanout.slots}
            passed = {key: fanout.base[slot] for key, slot in body.imports.items()}
            assert self.step.map is not None
            always = self.step.map.item_timeout_s is not None
            parcel = pack([(named, passed, self.around, self.run.id, always)])
            if parcel.refused:
                told = {**named, **{f"{source.name}[{key!r}]": value for (source, key), value in passed.items()}}
                raise TransportError(
                    f"{self.step.path} cannot send its inputs to a worker process: {culprit(told, 'input')} "
                    f"({self.step.where})"
                )
            self._base = parcel.data
        return self._base

    async def close(self) -> None:
        """The map has ended. In another map or a loop it may come again: there its processes live on with the run."""
        if self._once:
            await self.pool.close()


class RemoteWorker:
    """One worker of a process map: it pulls a chunk, waits for a process that is free, and has it run there.

    There are two for each process, so that the next chunk is ready when one comes back.
    """

    spawned: bool
    task: Any  # an asyncio.Task, once it has begun

    def __init__(self, crew: Crew, fanout: Fanout, host: asyncio.Task[Any] | None, floor: int) -> None:
        self.crew = crew
        self.fanout = fanout
        self.spawned = host is None
        self.task = host
        self.floor = floor
        self._todo: deque[Chunk] = deque()
        self._errand: _Errand | None = None

    def at_work(self) -> list[int]:
        """The items that it has sent, or is about to send, and that have not ended, for those who ask."""
        return [] if self._errand is None else [index for index, _ in self._errand.left]

    async def work(self) -> None:
        """Pull and run chunks until there are no more items. What is raised here goes where a ``Worker``'s goes."""
        fanout = self.fanout
        if self.task is None:
            self.task = asyncio.current_task()  # an eager task begins before its maker can tell
        try:
            await self._work()
        except BaseException as exc:
            if not self.spawned:
                raise
            if not (isinstance(exc, CancelledError) and fanout.domain.closing):
                fanout.domain.fail(exc, self.task)
        finally:
            if self.spawned:
                fanout.active -= 1
                fanout.domain.leave(self)

    def stop(self) -> None:
        """It has pulled nothing yet."""

    async def _work(self) -> None:
        fanout = self.fanout
        while not fanout.domain.closing:
            chunk = self._todo.popleft() if self._todo else Chunk(await self._pull())
            if not chunk.items or fanout.domain.closing:
                return
            if fanout.active < self.crew.most_workers and not fanout.exhausted and self._more():
                fanout.spawn(None)  # each pulls something before it hires the next, so no process starts for nothing
            await self._run(chunk)

    def _more(self) -> bool:
        fanout = self.fanout
        return fanout.total is None or fanout.total > fanout.columns.count

    # --- pulling ------------------------------------------------------------------------------------------
    async def _pull(self) -> list[Item]:
        """The items of the next chunk: less than the rule says if the source has no more at hand, none at its end."""
        fanout, rule, tracing = self.fanout, self.crew.rule, self.fanout.run.tracing
        items: list[Item] = []
        due_s: float | None = None
        left = None if fanout.total is None else fanout.total - fanout.columns.count
        size = min(rule.size(left), self.crew.most_items or sys.maxsize)
        fanout.widen(4 * fanout.plan.max_concurrency * size)  # room for what is under way, and as much again
        while len(items) < size and not fanout.domain.closing:
            if fanout.full():
                if items:
                    break
                await self._fill(None)
                self._check_cancelled()
                continue
            if tracing is not None and tracing.held:
                if items:
                    break
                await tracing.room()
                self._check_cancelled()
                continue
            try:
                values = fanout.pull()
            except BaseException as exc:  # the source failed, and with it the map
                fanout.stop_pulling(exc, self.task)
                break
            if values is DONE:
                fanout.exhausted = True
                break
            if values is WAIT:
                if items:
                    if due_s is None and self.crew.fill_s < _GATHER_S:
                        due_s = fanout.run.loop.time() + _GATHER_S
                    if due_s is None or len(items) >= rule.least() or fanout.run.loop.time() >= due_s:
                        break
                began_s = fanout.run.loop.time()
                await self._fill(due_s)
                self.crew.fill_s = fanout.run.loop.time() - began_s
                self._check_cancelled()
            else:
                self._take(values, items)
            if not fanout.columns.count % _LOOK_EVERY and fanout.run.budget.must_wait(perf_counter_ns()):
                await fanout.run.budget.turn(served=True)
                self._check_cancelled()
        return items

    def _take(self, values: Any, items: list[Item]) -> None:
        fanout = self.fanout
        index, _ = fanout.open(values, None)
        error = before = None if fanout.feed.plain else fanout.feed.failed_before(index)
        if fanout.plan.key is not None:
            unnamed = fanout.name(index, values)
            error = unnamed if error is None else error
        if error is None:
            items.append((index, values))
        else:
            fanout.fail(index, error, self.task, travelled=error is before)

    async def _fill(self, until_s: float | None) -> None:
        fanout = self.fanout
        try:
            await fanout.fill_by(until_s)
        except CancelledError:
            raise
        except BaseException as exc:  # the source failed, and with it the map
            fanout.stop_pulling(exc, self.task)

    def _check_cancelled(self) -> None:
        """Pass on a cancellation from outside that a source has swallowed."""
        if not self.fanout.domain.closing and self.task.cancelling() > self.floor:
            raise CancelledError

    # --- running ------------------------------------------------------------------------------------------
    async def _run(self, chunk: Chunk) -> None:
        """Have a chunk run, and take what comes back as it comes."""
        fanout, pool = self.fanout, self.crew.pool
        errand = self._errand = _Errand(self.crew, fanout, chunk)
        await self._pack(errand)
        process = await pool.take()
        talk = Talk(fanout.run.loop, process, partial(errand.request, process))
        talk.hear = errand.hear
        timeout_s = None
        try:
            while (message := await talk.next(timeout_s)) is not None:
                if message[0] == "begun":
                    self._refuse(errand)
                    timeout_s = fanout.plan.item_timeout_s
                else:
                    self._deliver(errand, message)
                if fanout.domain.closing:
                    break
            else:
                errand.learn()
                pool.give_back(process)
                return
        except Died as exc:
            pool.drop(process)
            self._after_death(errand, exc)
            return
        except TimeoutError:
            await self._kill(process, talk)
            index, _ = errand.left.popleft()
            fanout.fail(index, fanout.timed_out(index), self.task)
            if errand.left:
                self._todo.append(Chunk(list(errand.left), again=True))
            return
        except (Unfit, TransportError) as exc:  # nothing can be sent, or loaded there
            await self._kill(process, talk)
            error = unfit(fanout.step, exc.error) if isinstance(exc, Unfit) else exc
            if str(error) in map(str, fanout.domain.errors):
                return  # another worker has told of it
            raise error from error.__cause__
        except BaseException:  # it is cancelled, or no process can be started, or nothing can be sent
            await self._kill(process, talk)
            raise
        await self._kill(process, talk)  # the map ends: one of its items has failed

    async def _pack(self, errand: _Errand) -> None:
        """Pickle a chunk in a thread, before a process is free for it: so none has to wait for that."""
        fanout = self.fanout
        job = start_in_thread(fanout.run.loop, errand.pack)
        try:
            await job.wait()
        except CancelledError:
            if not job.withdraw():
                fanout.domain.host_cancelled()
                await job.linger(fanout.run.grace_s, fanout.domain.host_cancelled)
            raise
        if job.error is not None:
            raise job.error

    def _refuse(self, errand: _Errand) -> None:
        """Settle items that could not be sent."""
        fanout = self.fanout
        if errand.refused:
            errand.left = deque(one for place, one in enumerate(errand.left) if place not in errand.refused)
        for place, why in errand.refused.items():
            index, values = errand.chunk.items[place]
            names = [one.name for one in fanout.plan.each]
            told = dict(zip(names, values if len(names) > 1 else (values,), strict=True))
            error = TransportError(
                f"item {index} of {fanout.step.path} cannot be sent to a worker process: {culprit(told, 'input')} "
                f"({fanout.step.where})"
            )
            error.__cause__ = why
            fanout.run.locate(error, (*fanout.frame.item, index), fanout.step)
            fanout.fail(index, error, self.task)

    def _deliver(self, errand: _Errand, message: tuple[Any, ...]) -> None:
        """Settle items that have ended."""
        fanout, task, told = self.fanout, self.task, message[2]
        if told is not None:
            failures, partial_, tags = told
            for path, kept, total in failures:
                fanout.run.collect_all(path, kept, total, partial=partial_)
            for path, item, tag in tags:
                fanout.run.tag_at(path, item, tag)
        for took_ns, out, error in message[1]:
            index, _ = errand.left.popleft()
            if fanout.domain.closing:
                return
            if fanout.latencies is not None:
                fanout.latencies.add(took_ns)
            if error is None:
                fanout.finish(index, out, task)
            else:
                fanout.run.locate(error, (*fanout.frame.item, index), fanout.step)
                fanout.fail(index, error, task)

    def _after_death(self, errand: _Errand, died: Died) -> None:
        """Settle who is to blame for a process that has died, or find out, by running what is left one at a time."""
        fanout, left = self.fanout, errand.left
        if not died.begun and self.crew.pool.may_start_again():
            self._todo.appendleft(errand.chunk)
            return
        if left and (errand.chunk.again or len(left) == 1 or not died.begun):
            when = "while it ran" if died.begun else "before it could begin with"
            index, _ = left.popleft()
            message = f"the worker process of {fanout.step.path} {died.how()} {when} item {index} ({fanout.step.where})"
            error = WorkerDied(message, died.exit_code)
            fanout.run.locate(error, (*fanout.frame.item, index), fanout.step)
            if not died.begun:
                raise error  # no process can be had at all: the map's own failure
            fanout.fail(index, error, self.task)
        if left:
            self._todo.append(Chunk(list(left), again=True))

    async def _kill(self, process: WorkerProcess, talk: Talk) -> None:
        try:
            await talk.kill(self.fanout.run.grace_s, self.fanout.domain.host_cancelled)
        finally:
            self.crew.pool.drop(process)


class _Errand:
    """One chunk on its way. ``pack``, ``request`` and ``hear`` are called in worker threads.

    Attributes:
        left: The items that have not ended, in their order.
        refused: Those that could not be pickled, by their place in the chunk, with the reason.
    """

    def __init__(self, crew: Crew, fanout: Fanout, chunk: Chunk) -> None:
        self.chunk = chunk
        self.left: deque[Item] = deque(chunk.items)
        self._crew = crew
        self._fanout = fanout
        self._fresh = False
        self._indexes: list[int] = []
        self._parcel = Parcel(b"", [], {})
        self.refused: dict[int, Exception] = {}
        self._began_ns = self._work_ns = self._ended_ns = self._bytes = 0

    def pack(self) -> None:
        """Pickle the items."""
        items = self.chunk.items
        self._parcel = parcel = pack([values for _, values in items])
        self.refused = parcel.refused
        self._indexes = [index for place, (index, _) in enumerate(items) if place not in parcel.refused]
        self._bytes = len(parcel.data)

    def request(self, process: WorkerProcess) -> tuple[Any, ...]:
        """What is sent: the items, and what they are all given if this process does not know it yet."""
        self._fresh = process.knows is not self._crew
        base = self._crew.base(self._fanout) if self._fresh else None
        process.knows = self._crew
        parcel = self._parcel
        ends = [end for place, end in enumerate(parcel.ends) if place not in parcel.refused]
        self._parcel = Parcel(b"", [], {})
        self._began_ns = perf_counter_ns()
        return "items", base, self._indexes, parcel.data, ends, self.chunk.again

    def hear(self, message: tuple[Any, ...]) -> tuple[Any, ...]:
        """What has come back: ``(took_ns, out, error)`` of each item, those too that could not be sent."""
        if message[0] != "items":
            return message
        _, outcomes, data, ends, told, last = message
        path = self._fanout.step.path
        self._bytes += len(data)
        outs = iter(unpack(data, ends))
        found: list[tuple[int, Any, BaseException | None]] = []
        for took_ns, parcel in outcomes:
            self._work_ns += took_ns
            out, error = None, None
            if parcel is not None:
                error = unpack_error(parcel)
            else:
                out = next(outs)
                if isinstance(out, Unloadable):
                    error = TransportError(
                        f"what an item of {path} gave cannot be loaded here, back from its worker process: "
                        f"{reason(out.error)}"
                    )
            found.append((took_ns, out, error))
        if told is not None:
            failures, partial_, tags = told
            told = (
                [(at, [(item, unpack_error(parcel)) for item, parcel in kept], total) for at, kept, total in failures],
                partial_,
                tags,
            )
        self._ended_ns = perf_counter_ns()
        return "items", found, told, last

    def learn(self) -> None:
        """All has come back: tell the rule what it took."""
        if self.chunk.again:
            return
        transport_ns = max(0, self._ended_ns - self._began_ns - self._work_ns)
        fresh = self._fresh
        self._crew.rule.learn(len(self.chunk.items), self._work_ns, None if fresh else transport_ns, self._bytes)
