"""``IteratorSource``: the items of a sync iterable, pulled inline where that is cheap, else in a thread."""

from __future__ import annotations

import types
from asyncio import CancelledError
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from functools import partial
from itertools import islice
from threading import Lock
from time import perf_counter_ns
from typing import Any

from hush.core._logs import logger
from hush.core._runtime._about import about
from hush.core._runtime._gate import PINNED_GATE, AutoGate, PinnedGate, gate_of_code, log_slow
from hush.core._runtime._run import Run
from hush.core._runtime._sources import CHUNK, DONE, WAIT
from hush.core._runtime._threads import Job, start_in_thread

log = logger("hush.map")

_STRETCH_NS = 1_000_000  # of pulling for a batch on the loop, between two looks at the budget
_QUICK_NS = 50_000
_MOST_BLIND = 16
_CHUNK_NS = 5_000_000  # a slow source hands over what it has, rather than hold the first items back


class IteratorSource:
    """Any other sync iterable: pulled in a thread until ``next()`` has shown itself cheap."""

    __slots__ = (
        "_abandoned",
        "_buffer",
        "_context",
        "_done",
        "_error",
        "_gate",
        "_hungry",
        "_item",
        "_iterator",
        "_job",
        "_left",
        "_lock",
        "_path",
        "_run",
        "_running",
        "size",
    )

    def __init__(
        self,
        iterator: Iterator[Any],
        run: Run,
        pull: str,
        first: int | None,
        context: Context,
        path: str,
        item: tuple[int, ...],
    ) -> None:
        self.size: int | None = None
        self._iterator = iterator
        self._left = first  # how many more may be pulled
        self._run = run
        self._gate: AutoGate | PinnedGate = PINNED_GATE if pull == "inline" else _gate_of(iterator)
        self._buffer: deque[Any] = deque()
        self._done = False
        self._job: Job | None = None  # that pulls a chunk
        self._running = False
        self._hungry = False  # somebody waits for the next value of that chunk
        self._abandoned = False
        self._error: BaseException | None = None
        self._context = context
        self._lock = Lock()
        self._path, self._item = path, item  # of the map, for what is logged

    def now(self) -> Any:
        """The next value, if it is at hand or cheap to get."""
        # Read before the buffer is looked at: a thread that pulls fills that first.
        running, ended, error = self._running, self._done or self._left == 0, self._error
        if self._buffer:
            return self._buffer.popleft()
        if error is not None:
            self._error = None
            _note(error)
            raise error
        if ended:
            return DONE
        if running or not (self._gate.inline or self._run.inline_only):
            return WAIT
        began_ns = perf_counter_ns()
        try:
            value = self._context.run(next, self._iterator, DONE)
        except BaseException as exc:
            _note(exc)
            raise
        if self._left is not None:
            self._left -= 1
        self._learn(perf_counter_ns() - began_ns)
        self._done = value is DONE
        return value

    def take(self, most: int) -> list[Any]:
        """Up to ``most`` values that are at hand or cheap to get; none if ``now`` has something else to say."""
        buffer = self._buffer
        if not buffer:
            idle = self._error is None and not self._done and self._left != 0 and not self._running
            if not idle or not (self._gate.inline or self._run.inline_only):
                return []
            self._pull_inline(most if self._left is None else min(most, self._left))
        if len(buffer) <= most:
            values = list(buffer)
            buffer.clear()
            return values
        return [buffer.popleft() for _ in range(most)]

    def _pull_inline(self, most: int) -> None:
        """Pull up to ``most`` values on the loop, for a millisecond at most, in one run of the context."""
        found: list[Any] = []
        try:
            longest_ns, self._done = self._context.run(_pull_some, self._iterator, most, found)
            self._learn(longest_ns)
        except BaseException as exc:  # what came before it is gone through first
            self._error = exc
            self._done = True
        if self._left is not None:
            self._left -= len(found)
        self._buffer.extend(found)

    def _learn(self, took_ns: int) -> None:
        if self._gate.ran_inline(took_ns):
            log_slow(f"the source of {self._path}", took_ns, about(self._run.id, self._path, self._item))

    async def fill(self, cancelled: Callable[[], None], most: int) -> None:
        """Pull a chunk in a thread, of at most ``most`` items; come back with the first if the others take long."""
        if self._buffer:
            return
        job = self._job
        if job is None:
            if self._done or self._left == 0 or self._gate.inline or self._run.inline_only:
                return
            self._running = True
            pull = partial(self._context.run, partial(self._pull_in_thread, most))
            job = self._job = start_in_thread(self._run.loop, pull)
        try:
            if not await job.wait(_CHUNK_NS / 1e9):
                self._hungry = True
                while not self._buffer and not await job.wait():
                    pass
                self._hungry = False
        except CancelledError:
            self._job = None
            if job.withdraw():
                self._running = False
                raise
            if await job.linger(self._run.grace_s, cancelled) and self._error is not None:
                raise self._error from None  # it is not lost
            raise
        if job.finished:
            self._job = None
            times_ns = job.take()
            if isinstance(self._gate, AutoGate):
                for took_ns in times_ns:
                    self._gate.ran_in_thread(took_ns)

    def _pull_in_thread(self, most: int) -> list[int]:
        try:
            return self._pull(most)
        finally:
            with self._lock:
                self._running = False
                if self._abandoned:
                    self._close()  # the map has ended meanwhile

    def _pull(self, most: int) -> list[int]:
        times_ns: list[int] = []
        found = 0
        first_ns = before_ns = perf_counter_ns()
        most = min(CHUNK, most) if self._left is None else min(CHUNK, most, self._left)
        while found < most and before_ns - first_ns < _CHUNK_NS:
            try:
                value = next(self._iterator, DONE)
            except BaseException as exc:  # what came before it is gone through first
                self._error = exc
                self._done = True
                break
            now_ns = perf_counter_ns()
            times_ns.append(now_ns - before_ns)
            before_ns = now_ns
            if value is DONE:
                self._done = True
                break
            self._buffer.append(value)
            found += 1
            if self._hungry and self._job is not None:
                self._job.nudge()
        if self._left is not None:
            self._left -= found
        return times_ns

    async def close(self) -> None:
        """Close a generator, in whose ``finally`` there may be files to close."""
        job, self._job = self._job, None
        if job is not None and not job.withdraw():
            await job.linger(self._run.grace_s)
        elif job is not None:
            self._running = False
        if not isinstance(self._iterator, types.GeneratorType):
            return
        with self._lock:
            self._abandoned = self._running
        if self._abandoned:
            log.warning(
                "a source of %s did not return within %g s: it is left behind and closed there",
                self._path,
                self._run.grace_s,
                extra=about(self._run.id, self._path, self._item),
            )
        elif self._iterator.gi_frame is None or self._gate.inline or self._run.inline_only:
            self._close()
        else:
            job = start_in_thread(self._run.loop, partial(self._context.run, self._close))
            await job.linger(self._run.grace_s)
            if job.error is not None:
                raise job.error

    def _close(self) -> None:
        assert isinstance(self._iterator, types.GeneratorType)
        self._iterator.close()


def _pull_some(iterator: Iterator[Any], most: int, found: list[Any]) -> tuple[int, bool]:
    """Pull up to ``most`` values into ``found``: the longest time between two looks, and whether there are no more.

    Between two looks at the clock lie up to 16 values, as long as they come quickly.
    """
    longest_ns, step = 0, 1
    first_ns = before_ns = perf_counter_ns()
    while len(found) < most:
        asked, had = min(step, most - len(found)), len(found)
        found.extend(islice(iterator, asked))
        now_ns = perf_counter_ns()
        took_ns, before_ns = now_ns - before_ns, now_ns
        longest_ns = max(longest_ns, took_ns)
        if len(found) - had < asked:
            return longest_ns, True
        if now_ns - first_ns > _STRETCH_NS:
            return longest_ns, False
        step = min(step * 2, _MOST_BLIND) if took_ns < _QUICK_NS else 1
    return longest_ns, False


def _note(error: BaseException) -> None:
    if type(error).__module__ == "sqlite3" and "thread" in str(error):
        error.add_note('Hush: this cursor belongs to one thread: write Each(cursor, pull="inline").')


def _gate_of(iterator: Iterator[Any]) -> AutoGate:
    """What is remembered of how cheap ``next()`` is.

    For a generator by its code, unless that goes through something it closes over. Nothing for other iterators, since
    ``map(str, rows)`` cannot vouch for ``map(download, urls)``.
    """
    if isinstance(iterator, types.GeneratorType):
        code = iterator.gi_code
        if not code.co_freevars and code.co_name != "<genexpr>":
            return gate_of_code(code)
    return AutoGate()
