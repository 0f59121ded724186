"""Worker processes: one step's in one run, each with a pipe of its own to this process.

They are started as loky starts its own (the caller's ``__main__`` is not run again, nor is anything forked), but not
kept in its executor: there, one worker that dies takes the work of all others with it, and a single call cannot be
ended. Here each process is spoken to by itself, so that killing one touches nobody else.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from asyncio import AbstractEventLoop, CancelledError
from collections import deque
from collections.abc import Callable
from importlib import import_module
from time import monotonic, sleep
from typing import Any

from hush.core._runtime._parcels import unpack_error
from hush.core._runtime._run import Run
from hush.core._runtime._threads import Job, start_in_thread

_LOOK_EVERY_S = 0.1
"""A worker that has died is mostly seen by its pipe closing. What it has forked may hold that open: then by looking."""
_END_S = 5.0
_STARTS = 3
"""A process that dies before it has begun with anything is started so many times."""


class Died(Exception):
    """A worker process is gone, ``begun`` with its work or not."""

    def __init__(self, exit_code: int | None, *, begun: bool) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
        self.begun = begun

    def how(self) -> str:
        """How it ended, for people."""
        code = self.exit_code
        if code is None:
            return "died"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"


class Unfit(Exception):
    """A worker process cannot do what it is told: ``error`` says why, and no other could."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class WorkerProcess:
    """One worker process. ``ask`` blocks, and is called in worker threads, by one at a time; ``kill`` never does.

    Attributes:
        knows: Whatever its user has told it already.
    """

    def __init__(self, setup: Callable[[], bytes]) -> None:
        self._setup = setup
        self._process: Any = None
        self._connection: Any = None
        self._lock = threading.Lock()
        self._killed = False
        self.knows: object = None

    def ask(self, request: Callable[[], tuple[Any, ...]], hear: Callable[[tuple[Any, ...]], None]) -> None:
        """Send a request, starting the process if need be, and ``hear`` its messages up to the last.

        Raises ``Died``, ``Unfit``, or what ``request`` raises.
        """
        if self._process is None:
            self._start()
        data = pickle.dumps(request(), pickle.HIGHEST_PROTOCOL)
        begun = False
        try:
            self._connection.send_bytes(data)
            del data
            while True:
                message = self._receive()
                if message[0] == "broken":
                    raise Unfit(unpack_error(message[1]))
                begun = True
                hear(message)
                if message[-1]:
                    return
        except (EOFError, OSError):
            raise Died(self.end(), begun=begun) from None

    def _start(self) -> None:
        from hush.core._runtime._process_main import main

        setup = pickle.dumps(("setup", self._setup()), pickle.HIGHEST_PROTOCOL)
        context = import_module("loky.backend.context").get_context("loky")
        ours, theirs = context.Pipe(duplex=True)
        # A daemon for this process only: should it end in the middle of a run, it does not wait for this one.
        process = context.Process(target=main, args=(theirs,), name="hush-worker", daemon=True)
        try:
            process.start()
        finally:
            theirs.close()
        with self._lock:
            self._process, self._connection = process, ours
            killed = self._killed
        del process  # it has a descriptor, which an error that is raised here, and kept, would keep
        if killed:
            self.kill()  # while it was being started
        try:
            ours.send_bytes(setup)
            message = self._receive()
        except (EOFError, OSError):
            raise Died(self.end(), begun=False) from None
        if message[0] == "broken":
            raise Unfit(unpack_error(message[1]))

    def _receive(self) -> tuple[Any, ...]:
        while not self._connection.poll(_LOOK_EVERY_S):
            if self._killed or not self._process.is_alive():
                if self._connection.poll(0):
                    break  # its last words
                raise EOFError
        found: tuple[Any, ...] = pickle.loads(self._connection.recv_bytes())
        return found

    @property
    def started(self) -> bool:
        """Whether there is a process whose end nobody has seen."""
        return self._process is not None

    def kill(self) -> None:
        """End the process now, with the processes that it has started."""
        with self._lock:
            self._killed = True
            process = self._process
            if process is None or process.exitcode is not None:
                return
            if os.name != "posix":
                process.terminate()
                return
            for kill in (os.killpg, os.kill):  # the group is its own once it has begun
                try:
                    kill(process.pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass

    def let_go(self) -> None:
        """Nothing more will be asked: the process ends by itself."""
        if self._connection is not None:
            self._connection.close()

    def end(self, wait_s: float = _LOOK_EVERY_S) -> int | None:
        """Wait until the process has ended, and end it if that takes longer than ``wait_s``; its exit code."""
        process = self._process
        if process is None:
            return None
        code = _exit_code(process, wait_s)  # one that has died by itself is to say how: its pipe closes before
        if code is None:
            self.kill()
            code = _exit_code(process, _END_S)
        self.let_go()
        if code is not None:
            process.join(0)  # or multiprocessing would remember it
        with self._lock:
            self._process = None
        return code


def _exit_code(process: Any, wait_s: float) -> int | None:
    """The exit code of a process, once it has ended; ``None`` after ``wait_s``.

    ``join`` waits for a pipe that whatever the process has forked may hold open.
    """
    from multiprocessing.connection import wait

    end_s = monotonic() + wait_s
    while True:
        code: int | None = process.exitcode
        left_s = end_s - monotonic()
        if code is not None or left_s <= 0:
            return code
        if wait([process.sentinel], min(left_s, _LOOK_EVERY_S)):
            code = process.exitcode
            if code is None:
                sleep(0.001)  # its pipe is closed, and it ends any moment


class Talk:
    """One request to a worker process that is under way: its messages, as they come.

    Iterating over it awaits them. It has to be ended by ``kill`` if it is not heard to its end.
    """

    def __init__(self, loop: AbstractEventLoop, worker: WorkerProcess, request: Callable[[], tuple[Any, ...]]) -> None:
        self._loop = loop
        self._worker = worker
        self._request = request
        self._messages: deque[tuple[Any, ...] | None] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.hear: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None
        self._error: BaseException | None = None
        self._job: Job | None = None

    async def next(self, timeout_s: float | None = None) -> tuple[Any, ...] | None:
        """The next message; ``None`` after the last. Raises ``Died`` or ``Unfit``, or ``TimeoutError``."""
        if self._job is None:
            self._job = start_in_thread(self._loop, self._ask)
        if not self._messages:
            self._waiter = self._loop.create_future()
            timer = None if timeout_s is None else self._loop.call_later(timeout_s, self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
            if not self._messages:
                raise TimeoutError
        message = self._messages.popleft()
        if message is None and self._error is not None:
            raise self._error
        return message

    async def kill(self, grace_s: float, cancelled: Callable[[], None] | None = None) -> None:
        """Kill the worker, and wait until nothing of it is left, whatever cancellations come meanwhile."""
        self._worker.kill()
        if self._job is not None and not self._job.withdraw():
            await self._job.linger(max(grace_s, _END_S), cancelled)
        if self._worker.started:  # it had answered, so that nobody has waited for its end yet
            await start_in_thread(self._loop, self._worker.end).linger(max(grace_s, _END_S), cancelled)

    def _ask(self) -> None:
        # In a thread. Messages are unpickled here, and told on the loop in their order.
        try:
            self._worker.ask(self._request, self._tell)
        except BaseException as exc:  # it is the outcome
            self._error = exc
        self._put_soon(None)

    def _tell(self, message: tuple[Any, ...]) -> None:
        self._put_soon(message if self.hear is None else self.hear(message))

    def _put_soon(self, message: tuple[Any, ...] | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, message)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    def _put(self, message: tuple[Any, ...] | None) -> None:
        self._messages.append(message)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


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
        self._idle: list[WorkerProcess] = []
        self._there = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._barren = 0

    def _told_first(self) -> bytes:
        # Called in worker threads: what is sent may be large.
        with self._lock:
            if self._setup is None:
                self._setup = self._make_setup()
            return self._setup

    async def take(self) -> WorkerProcess:
        """A worker process, to be given back or dropped."""
        while not self._idle and self._there >= self._most:
            turn = self._run.loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise
        if self._idle:
            return self._idle.pop()
        self._there += 1
        return WorkerProcess(self._told_first)

    def give_back(self, worker: WorkerProcess) -> None:
        """It has done what it was asked."""
        self._barren = 0
        self._idle.append(worker)
        self._next()

    def drop(self, worker: WorkerProcess) -> None:
        """It has died, or was killed."""
        self._there -= 1
        self._next()

    def may_start_again(self) -> bool:
        """After one that died before it had begun: whether to try another."""
        self._barren += 1
        return self._barren < _STARTS

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def close(self) -> None:
        """Let all idle processes end, and wait for that, whatever cancellations come meanwhile."""
        workers, self._idle = self._idle, []
        self._there -= len(workers)
        if workers:
            await _end_all(self._run, workers)


async def _end_all(run: Run, workers: list[WorkerProcess]) -> None:
    def end() -> None:
        for worker in workers:
            worker.let_go()
        end_s = monotonic() + run.grace_s
        for worker in workers:
            worker.end(max(0.001, end_s - monotonic()))

    await start_in_thread(run.loop, end).linger(run.grace_s + 2 * _END_S)


def pool_of(run: Run, path: str, most: int, setup: Callable[[], bytes]) -> ProcessPool:
    """The worker processes of the step at ``path`` in this run."""
    if run.processes is None:
        run.processes = {}
    pool: ProcessPool | None = run.processes.get(path)
    if pool is None:
        pool = run.processes[path] = ProcessPool(run, most, setup)
    return pool


async def close_pools(run: Run) -> None:
    """At the end of a run: let all its worker processes end."""
    workers = [worker for pool in (run.processes or {}).values() for worker in pool._idle]
    run.processes = None
    if workers:
        await _end_all(run, workers)
