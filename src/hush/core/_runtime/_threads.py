"""Worker threads: one pool of daemon threads for the process, grown on demand, that never holds up its exit.

The standard pool joins its threads at exit, so one call that does not end would keep the process alive.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported when a thread is first needed
    from queue import SimpleQueue

MAX_THREADS = 512


class Job:
    """One call in a worker thread, awaited on its loop by one task.

    Attributes:
        finished: Whether the call has returned, as far as the loop knows.
        result: What it returned, ``error`` what it raised instead.
        took_ns: How long it took, measured inside the thread.
        late: Told of the result of a call that was left behind.
        waited: Whether it waited for a run of its own, and so belongs in a thread however quick it is.
    """

    __slots__ = (
        "_call",
        "_from_start_s",
        "_loop",
        "_over",
        "_started",
        "_then",
        "_timer",
        "_waiter",
        "error",
        "finished",
        "late",
        "result",
        "took_ns",
        "waited",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], Any], from_start_s: float | None) -> None:
        self._loop = loop
        self._call = [call]  # popped by the thread that makes it, or by who withdraws it
        self._from_start_s = from_start_s
        self._started = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._over = False
        self._then: Callable[[], object] | None = None
        self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.took_ns = 0
        self.waited = False
        self.late: Callable[[Any], None] | None = None

    def take(self) -> Any:
        """What the call returned, once: the thread that made it may hold the job a moment longer."""
        result, self.result = self.result, None
        return result

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the call has returned, or ``timeout_s`` (of now, else as given from its start) is over.

        Cancelling the wait leaves the call alone. Gives ``finished``.
        """
        if not self.finished:
            self._waiter = self._loop.create_future()
            if timeout_s is not None:
                self._timer = self._loop.call_later(timeout_s, self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
        return self.finished

    def nudge(self) -> None:
        """Wake who waits, though the call has not returned; from its thread."""
        self._tell(self._wake)

    async def linger(self, grace_s: float, cancelled: Callable[[], None] | None = None) -> bool:
        """Give the call ``grace_s`` more, whatever cancellations come meanwhile: the caller is ending already.

        ``cancelled`` is called when one comes, so that others need not wait until this call has ended; and at first for
        the one that is being handled, which is the one that says why.
        """
        if cancelled is not None and isinstance(sys.exception(), asyncio.CancelledError):
            cancelled()
        end_s = self._loop.time() + grace_s
        while not self.finished and (left_s := end_s - self._loop.time()) > 0:
            try:
                await self.wait(left_s)
            except asyncio.CancelledError:
                if cancelled is not None:
                    cancelled()  # the request itself stays in task.cancelling()
        return self.finished

    def withdraw(self) -> bool:
        """Take the call back, if no thread has begun with it."""
        try:
            self._call.pop()
        except IndexError:
            return False
        return True

    def when_over(self, then: Callable[[], object]) -> None:
        """Call ``then`` in the thread when the call has returned, whatever has become of the loop, or now if it has.

        If it returns at this very moment, both: ``then`` must not mind.
        """
        self._then = then
        if self._over:
            then()

    def run(self) -> None:
        """Make the call, in the thread."""
        try:
            call = self._call.pop()
        except IndexError:
            return
        if self._from_start_s is not None:
            self._tell(self._on_start)
        began_ns = perf_counter_ns()
        try:
            self.result = call()
        except BaseException as exc:  # it is the outcome
            self.error = exc
        self.took_ns = perf_counter_ns() - began_ns
        del call
        self._over = True
        if self._then is not None:
            self._then()
        self._tell(self._on_finish)

    def _tell(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            pass  # the loop is closed: nobody waits for an abandoned call any more

    def _on_start(self) -> None:
        if self._waiter is not None and self._from_start_s is not None and self._timer is None:
            self._timer = self._loop.call_later(self._from_start_s, self._wake)

    def _on_finish(self) -> None:
        self.finished = True
        if self.late is not None:
            self.late(self.take())
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Pool:
    """Threads that run jobs in the order they came."""

    def __init__(self) -> None:
        from queue import SimpleQueue

        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def start(self, loop: asyncio.AbstractEventLoop, call: Callable[[], Any], from_start_s: float | None = None) -> Job:
        """Call ``call`` in a thread as soon as one is free. ``from_start_s`` bounds the wait from when it begins."""
        job = Job(loop, call, from_start_s)
        with self._lock:
            if self._idle <= 0 and self._threads < MAX_THREADS:
                self._add_thread()
            else:
                self._idle -= 1  # below zero where all are busy: the next that ends its job takes this one
        self._jobs.put(job)
        return job

    @contextmanager
    def _aside(self) -> Generator[None, None, None]:
        """Give the place of the calling worker to another while it waits for something that may need one."""
        _mine.job.waited = True
        with self._lock:
            self._threads -= 1
            if self._idle < 0:
                self._idle += 1
                self._add_thread()
        try:
            yield
        finally:
            with self._lock:
                self._threads += 1

    def aside(self) -> AbstractContextManager[None]:
        """``_aside`` for a thread of this pool, nothing for others."""
        return self._aside() if getattr(_mine, "pool", None) is self else nullcontext()

    def _add_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name=f"hush-worker-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        _mine.pool = self
        while True:
            _mine.job = job = self._jobs.get()
            job.run()
            del job, _mine.job
            with self._lock:
                self._idle += 1


_mine = threading.local()
_making = threading.Lock()
_pool: Pool | None = None  # until a thread is first needed


def step_aside() -> AbstractContextManager[None]:
    """While a worker thread waits for a run of its own, others may have its place: or all could wait for one."""
    return nullcontext() if _pool is None else _pool.aside()


def start_in_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], Any], from_start_s: float | None = None) -> Job:
    """``Pool.start`` of the process's one pool."""
    global _pool  # noqa: PLW0603  # there is one
    pool = _pool
    if pool is None:
        with _making:
            pool = _pool = _pool or Pool()
    return pool.start(loop, call, from_start_s)


def _after_fork() -> None:
    # The child has the pool's counts, but none of its threads; and maybe a lock that nobody will release.
    global _pool, _making
    _pool, _making = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
