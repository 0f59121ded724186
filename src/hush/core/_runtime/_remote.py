"""``RemoteWorker``: a worker of a process map on this side: it pulls chunks and has a worker process run them."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections import deque
from collections.abc import Sequence
from functools import partial
from time import perf_counter_ns
from typing import Any

from hush.core._runtime._chunk_pull import Puller
from hush.core._runtime._crew import Chunk, Crew
from hush.core._runtime._errand import Errand, Outcome
from hush.core._runtime._fanout import Fanout
from hush.core._runtime._in_process import unfit
from hush.core._runtime._parcels import Unloadable, culprit, reason
from hush.core._runtime._processes import Died, Talk, Unfit, WorkerProcess
from hush.core._runtime._telling import CLOCK_NS
from hush.core._runtime._threads import start_in_thread
from hush.core._spec._model import ERROR
from hush.core.errors import TransportError, WorkerDied


class HiredCrew(Crew):
    """A crew that gives one more of its workers when it is called."""

    def __call__(self, fanout: Fanout, host: asyncio.Task[Any] | None = None, floor: int = 0) -> RemoteWorker:
        return RemoteWorker(self, fanout, host, floor)


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
        self._errand: Errand | None = None
        # Whether nobody is told of each item by itself, so that whole columns can be taken.
        self._quiet = fanout.channel is None and fanout.run.tracing is None and fanout.plan.key is None

    def at_work(self) -> Sequence[int]:
        """The items that it has sent, or is about to send, and that have not ended, for those who ask."""
        return [] if self._errand is None else self._errand.left()

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
        puller = Puller(self.crew, fanout, self.task, self.floor)
        while not fanout.domain.closing:
            chunk = self._todo.popleft() if self._todo else await puller.next()
            if chunk is None or fanout.domain.closing:
                return
            await self._run(chunk)

    def _more(self) -> bool:
        fanout = self.fanout
        if self.crew.returned:
            return True
        return not fanout.exhausted and (fanout.total is None or fanout.total > fanout.columns.count)

    async def _run(self, chunk: Chunk) -> None:
        """Have a chunk run, and take what comes back as it comes."""
        fanout, pool = self.fanout, self.crew.pool
        errand = self._errand = Errand(self.crew, fanout, chunk, in_columns=self._quiet)
        await self._pack(errand)
        process = await pool.take(ahead=not chunk.again and self.crew.rule.is_short(len(chunk.indexes)))
        process.alone = chunk.again
        talk = Talk(fanout.run.loop, process, partial(errand.request, process))
        talk.hear = errand.hear
        timeout_s = None
        try:
            if fanout.active < self.crew.most_workers and self._more():
                # Only now: each has something to do before it hires the next, so no process starts for nothing, and
                # has a process for it, so that the first items are begun with first. An eager task begins at once.
                fanout.spawn(None)
            while (message := await talk.next(timeout_s)) is not None:
                if message[0] == "begun":
                    self._refuse(errand)
                    timeout_s = fanout.plan.item_timeout_s
                else:
                    self._deliver(errand, message[1])
                if fanout.domain.closing:
                    break
            else:
                errand.learn()
                pool.give_back(process)
                if errand.left():
                    self.crew.take_back(errand.rest(again=errand.chunk.again))
                return
        except Died as exc:
            pool.drop(process)
            self._after_death(errand, exc)
            return
        except TimeoutError:
            await self._kill(process, talk)
            index = errand.indexes[errand.ended]
            errand.ended += 1
            self._fail(index, fanout.timed_out(index), errand.heard_ns)
            if errand.left():
                self._todo.append(errand.rest(again=True))
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

    async def _pack(self, errand: Errand) -> None:
        """Pickle a chunk in a thread, before a process is free for it: so none has to wait for that."""
        fanout = self.fanout
        job = start_in_thread(fanout.run.loop, errand.pack)
        try:
            await job.wait()
        except CancelledError:
            if not job.withdraw():
                await job.linger(fanout.run.grace_s, fanout.domain.host_cancelled)
            raise
        if job.error is not None:
            raise job.error

    def _refuse(self, errand: Errand) -> None:
        """Settle items that could not be sent."""
        fanout = self.fanout
        for index, values, why in errand.refused:
            names = [one.name for one in fanout.plan.each]
            told = dict(zip(names, values if len(names) > 1 else (values,), strict=True))
            error = TransportError(
                f"item {index} of {fanout.step.path} cannot be sent to a worker process: {culprit(told, 'input')} "
                f"({fanout.step.where})"
            )
            error.__cause__ = why
            fanout.run.locate(error, (*fanout.frame.item, index), fanout.step)
            self._fail(index, error)

    def _fail(self, index: int, error: BaseException, began_ns: int | None = None) -> None:
        """Fail an item of which its process has told nothing; it was begun with at ``began_ns``, if at all."""
        fanout = self.fanout
        if fanout.timed:
            now_ns = perf_counter_ns()
            fanout.ran = (0 if began_ns is None else now_ns - began_ns, now_ns + CLOCK_NS)
        fanout.fail(index, error, self.task)
        fanout.ran = ()

    def _deliver(self, errand: Errand, outcome: Outcome) -> None:
        """Settle items that have ended."""
        fanout, told = self.fanout, outcome.told
        if told is not None:
            failures, partial_, tags = told
            for path, kept, total in failures:
                fanout.run.collect_all(path, kept, total, partial=partial_)
            for path, item, tag in tags:
                fanout.run.tag_at(path, item, tag)
        if fanout.latencies is not None:
            for took_ns, _ in outcome.times:
                fanout.latencies.add(took_ns)
        if fanout.domain.closing or not outcome.done:
            return
        first, ended = errand.ended, errand.ended + outcome.done
        in_a_row = errand.indexes[ended - 1] - errand.indexes[first] == outcome.done - 1
        loaded = outcome.loaded
        if loaded.columns is not None and in_a_row and ERROR not in loaded.keys:
            errand.ended = ended
            fanout.finish_run(errand.indexes[first], outcome.done, loaded.keys, loaded.columns)
            return
        given = iter(loaded.one_by_one())
        for place in range(outcome.done):
            index = errand.indexes[errand.ended]
            errand.ended += 1
            fanout.ran = outcome.times[place] if outcome.times else ()
            self._settle(index, outcome.errors[place] if place in outcome.errors else next(given))
            fanout.ran = ()
            if fanout.domain.closing:
                return

    def _settle(self, index: int, out: Any) -> None:
        """One item has ended: with what it gave, or an error."""
        fanout = self.fanout
        if isinstance(out, Unloadable):
            out = TransportError(
                f"what an item of {fanout.step.path} gave cannot be loaded here, back from its worker process: "
                f"{reason(out.error)}"
            )
        if isinstance(out, BaseException):
            fanout.run.locate(out, (*fanout.frame.item, index), fanout.step)
            fanout.fail(index, out, self.task)
        else:
            fanout.finish(index, out, self.task)

    def _after_death(self, errand: Errand, died: Died) -> None:
        """Settle who is to blame for a process that has died, or find out, by running what is left one at a time."""
        fanout, left = self.fanout, errand.left()
        if not died.begun and (not died.barren or self.crew.pool.may_start_again()):
            self._todo.appendleft(errand.chunk)
            return
        if left and (errand.chunk.again or len(left) == 1 or not died.begun):
            when = "while it ran" if died.begun else "before it could begin with"
            index = left[0]
            errand.ended += 1
            message = f"the worker process of {fanout.step.path} {died.how()} {when} item {index} ({fanout.step.where})"
            error = WorkerDied(message, died.exit_code)
            fanout.run.locate(error, (*fanout.frame.item, index), fanout.step)
            if not died.begun:
                raise error  # no process can be had at all: the map's own failure
            self._fail(index, error, errand.heard_ns)
        if errand.left():
            self._todo.append(errand.rest(again=True))

    async def _kill(self, process: WorkerProcess, talk: Talk) -> None:
        try:
            await talk.kill(self.fanout.run.grace_s, self.fanout.domain.host_cancelled)
        finally:
            self.crew.pool.drop(process)
