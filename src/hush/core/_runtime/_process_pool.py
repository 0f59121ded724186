"""``ProcessPool``: the worker processes of one step in one run."""

from __future__ import annotations

import asyncio
import os
import threading
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable
from time import monotonic

from hush.core._runtime._processes import END_S, WorkerProcess
from hush.core._runtime._run import Run
from hush.core._runtime._threads import start_in_thread

_STARTS = 3
"""A process that dies before it has begun with anything is started so many times."""
_SEATS = 2 if os.name == "posix" else 1
"""So many use a process at a time: what one of them has sent waits in it for what the other has."""


class ProcessPool:
    """The worker processes of one step in one run: at most ``most``, started when they are needed, and used again.

    Who finds them all at work waits in line.
    """

    def __init__(self, run: Run, most: int, setup: Callable[[], bytes]) -> None:
        self._run = run
        self._most = most
        self._make_setup = setup
        self._setup: bytes | None = None
        self._lock = threading.Lock()
        self._there: list[WorkerProcess] = []
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()
        self._barren = 0

    def _told_first(self) -> bytes:
        # Called in worker threads: what is sent may be large.
        with self._lock:
            if self._setup is None:
                self._setup = self._make_setup()
            return self._setup

    def take_free(self) -> WorkerProcess | None:
        """One that is not at work, or a new one; ``None`` if there are as many as there may be."""
        worker = self._free(ahead=False)
        if worker is not None:
            worker.users += 1
        return worker

    async def take(self, *, ahead: bool = False) -> WorkerProcess:
        """A worker process, to be given back or dropped. One that is at work, too, where that does: ``ahead``."""
        while (worker := self._free(ahead=ahead)) is None:
            turn = self._run.loop.create_future()
            self._waiting.append((turn, ahead))
            try:
                await turn
            except CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise
        worker.users += 1
        return worker

    def _free(self, *, ahead: bool) -> WorkerProcess | None:
        for worker in reversed(self._there):
            if not worker.users:
                return worker
        if len(self._there) < self._most:
            worker = WorkerProcess(self._told_first)
            self._there.append(worker)
            return worker
        if ahead:
            # One that has begun with something: until then it may be long in starting, or not start at all.
            busy = [one for one in self._there if one.served and one.users < _SEATS and not one.alone]
            return min(busy, key=_users, default=None)
        return None

    def give_back(self, worker: WorkerProcess) -> None:
        """It has done what it was asked."""
        self._barren = 0
        worker.users -= 1
        self._next()

    def drop(self, worker: WorkerProcess) -> None:
        """It has died, or was killed; whoever else uses it will learn that."""
        if worker in self._there:
            self._there.remove(worker)
            self._next()

    def may_start_again(self) -> bool:
        """After one that died before it had begun with anything: whether to try another."""
        self._barren += 1
        return self._barren < _STARTS

    def _next(self) -> None:
        """Wake the first of those that wait who can have what has become free."""
        idle = len(self._there) < self._most or any(not worker.users for worker in self._there)
        for place, (turn, ahead) in enumerate(self._waiting):
            if not turn.done() and (idle or ahead):
                turn.set_result(None)
                del self._waiting[place]
                return

    async def close(self) -> None:
        """Let all idle processes end, and wait for that, whatever cancellations come meanwhile."""
        workers = self.take_idle()
        if workers:
            await _end_all(self._run, workers)

    def take_idle(self) -> list[WorkerProcess]:
        """All that nobody uses: they are the caller's now."""
        idle = [worker for worker in self._there if not worker.users]
        self._there = [worker for worker in self._there if worker.users]
        return idle


def _users(worker: WorkerProcess) -> int:
    return worker.users


async def _end_all(run: Run, workers: list[WorkerProcess], cancelled: Callable[[], None] | None = None) -> None:
    def end() -> None:
        for worker in workers:
            worker.let_go()
        end_s = monotonic() + run.grace_s
        for worker in workers:
            worker.end(max(0.001, end_s - monotonic()))

    await start_in_thread(run.loop, end).linger(run.grace_s + 2 * END_S, cancelled)


def pool_of(run: Run, path: str, most: int, setup: Callable[[], bytes]) -> ProcessPool:
    """The worker processes of the step at ``path`` in this run."""
    if run.processes is None:
        run.processes = {}
    pool: ProcessPool | None = run.processes.get(path)
    if pool is None:
        pool = run.processes[path] = ProcessPool(run, most, setup)
    return pool


async def close_pools(run: Run, cancelled: Callable[[], None]) -> None:
    """At the end of a run: let all its worker processes end. ``cancelled`` is told of cancellations meanwhile."""
    workers = [worker for pool in (run.processes or {}).values() for worker in pool.take_idle()]
    run.processes = None
    if workers:
        await _end_all(run, workers, cancelled)
