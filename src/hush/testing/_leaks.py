"""``leak_check``: fails if a block leaves tasks, permits, files, event loops or threads behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any
from weakref import WeakSet

from hush.testing import _files, _permits, _tasks, _threads
from hush.testing._left import Leak, LeftOver
from hush.testing._loop import hear, stop_hearing

# A thread that was told to end needs real time to do so. Waited for only where there is one.
_THREADS_END_S = 0.5

# A transport that was closed closes its socket in the next pass; a callback of its own may come before.
_PASSES_TO_CLOSE = 3


def leak_check(*, permits: Mapping[str, Any] | None = None, ignore: Iterable[str] = ()) -> LeakCheck:
    """Fail if what a block made outlives it. The block is a ``with``, or in async code an ``async with``.

    Found are tasks that are not done, on any loop; permits that were not given back; files, sockets and event loops
    that are open; threads that run; and errors that nobody took from a task of a virtual loop. What was there before
    the block does not count, nor do idle threads of Hush and of asyncio's default executor. Files are found where the
    system lists them, so not on Windows.

    ``async with`` gives the loop three passes at the end, in which transports that were closed can close their
    sockets. If the block raises, that is what you see, and nothing is looked for.

    Args:
        permits: Name → what holds permits: semaphores, locks and limiters of asyncio, threading and anyio, or a
            function that returns how many are free. More can be added in the block: ``leaks.watch("api", semaphore)``.
        ignore: Leaks whose line has one of these texts in it are let through.

    Raises:
        LeftOver: At the end of the block, listing everything with the lines of code and a mend.
        TypeError: At the start, if a permit cannot be counted.
    """
    return LeakCheck(permits or {}, ignore)


class LeakCheck:
    """What `leak_check` gives: a block to be watched. It can be entered again, but not while it is entered."""

    def __init__(self, permits: Mapping[str, Any], ignore: Iterable[str]) -> None:
        if isinstance(ignore, str):
            raise TypeError(f"ignore={ignore!r}: it is a list of texts.")
        self._given = dict(permits)
        self._ignore = tuple(ignore)
        self._permits: dict[str, tuple[Any, float]] = {}
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
        self._threads: set[threading.Thread] = set()
        self._files: dict[int, str] = {}
        self._heard: list[Leak] = []

    def watch(self, name: str, permit: Any) -> None:
        """From now on, count the permits that are free in it: at the end there must be as many as now."""
        self._permits[name] = (permit, _permits.free_permits(name, permit))

    def leaks(self) -> tuple[Leak, ...]:
        """What would be reported if the block ended here, and what was reported, after it has ended."""
        gc.collect()  # garbage is no leak; and a task whose error nobody took complains when it is collected
        objects = gc.get_objects()
        found = [*self._of_tasks(objects), *self._of_permits(), *self._of_files(objects), *self._of_threads()]
        return tuple(each for each in [*found, *self._heard] if not any(text in str(each) for text in self._ignore))

    # --- the block ----------------------------------------------------------------------------------------
    def __enter__(self) -> LeakCheck:
        gc.collect()  # what complains now is not the block's
        self._permits.clear()
        for name, permit in self._given.items():
            self.watch(name, permit)
        objects = gc.get_objects()
        self._tasks = WeakSet(_unfinished(objects))
        self._loops = WeakSet(_files.open_loops(objects))
        # One of a pool that is idle now may be at work for the block later.
        self._threads = {each for each in threading.enumerate() if not _threads.is_idle(each)}
        self._files = _files.open_files()
        self._heard = []
        hear(self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # An exception holds the frames it passed through, and all that is in them.
            found = self.leaks() if error is None else ()
        finally:
            stop_hearing(self._heard)
        if found:
            raise LeftOver(found)

    async def __aenter__(self) -> LeakCheck:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for _ in range(_PASSES_TO_CLOSE if error is None else 0):
                await asyncio.sleep(0)
        except BaseException:
            stop_hearing(self._heard)
            raise
        self.__exit__(kind, error, trace)

    # --- what is left -------------------------------------------------------------------------------------
    def _of_tasks(self, objects: list[Any]) -> list[Leak]:
        return sorted((_tasks.as_leak(each) for each in _unfinished(objects) if each not in self._tasks), key=str)

    def _of_permits(self) -> list[Leak]:
        return [
            leak
            for name, (permit, before) in self._permits.items()
            for leak in _permits.compared(name, before, _permits.free_permits(name, permit))
        ]

    def _of_files(self, objects: list[Any]) -> list[Leak]:
        opened = _files.open_loops(objects)
        own = {number for loop in opened for number in _files.files_of(loop)}
        new = [(at, what) for at, what in _files.open_files().items() if self._files.get(at) != what and at not in own]
        silent = [each for each in opened if _files.is_silent(each)]
        if any(each not in self._loops for each in silent):
            new = [(at, what) for at, what in new if not _files.may_be_of_a_loop(what)]
        elif silent:
            new = [(at, what) for at, what in new if not _files.may_be_spare(at, what)]
        kept = _files.loop_of_policy()
        loops = [
            each
            for each in opened
            if each not in self._loops and each is not kept and not _threads.is_loop_of_hush(each)
        ]
        return [_files.loop_as_leak(each) for each in loops] + [_files.as_leak(at, what) for at, what in sorted(new)]

    def _of_threads(self) -> list[Leak]:
        end_s = time.monotonic() + _THREADS_END_S
        for each in self._new_threads():
            while each.is_alive() and not _threads.is_idle(each) and (left_s := end_s - time.monotonic()) > 0:
                each.join(min(left_s, 0.01))  # in small steps: a thread of a pool gets idle, but does not end
        return [_threads.as_leak(each) for each in self._new_threads()]

    def _new_threads(self) -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each not in self._threads and not _threads.is_idle(each)]


def _unfinished(objects: list[Any]) -> list[asyncio.Task[Any]]:
    # By type: `isinstance` asks the object for its class, and a proxy may do anything then.
    return [each for each in objects if issubclass(type(each), asyncio.Task) and not each.done()]
