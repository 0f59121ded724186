"""The loop of ``run_sync``: one for the process, in a daemon thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from _thread import start_new_thread
from asyncio.events import _get_running_loop
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from hush.core._runtime._threads import step_aside
from hush.core.errors import UsageError
from hush.core.protocols import run_waiting

T = TypeVar("T")

_LOOK_EVERY_S = 0.2
"""A signal that comes just before the wait begins does not end it: Python hears of it when it looks the next time."""


class Background:
    """A loop that runs for ever in its own thread.

    Attributes:
        thread: The number of the thread; ``None`` until it runs.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread: int | None = None
        self._taken = threading.Lock()

    def start(self) -> None:
        """Have it run. It may be called again: whether the first call came so far, an interrupt leaves open.

        ``threading.Thread.start`` waits in Python, where an interrupt can find a lock that is released twice then.
        """
        start_new_thread(self._run, ())

    def _run(self) -> None:
        if not self._taken.acquire(blocking=False):
            return
        threading.current_thread().name = "hush-loop"
        self.thread = threading.get_ident()
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
            except BaseException:
                # A task that raises SystemExit or KeyboardInterrupt raises it here as well; it has kept it, and who
                # waits for the task is told. The loop is everybody's and goes on.
                continue


_backgrounds: list[Background] = []
_lock = threading.Lock()


def _started() -> Background:
    """The loop for a call from this thread.

    A ``def`` that runs inline on that loop blocks it. What it waits for runs on a loop further on, made for that.
    """
    here = threading.get_ident()
    with _lock:
        depth = next((place + 1 for place, one in enumerate(_backgrounds) if one.thread == here), 0)
        if depth == len(_backgrounds):
            _backgrounds.append(Background())
        found = _backgrounds[depth]
        if found.thread is None:
            found.start()
        return found


def _after_fork() -> None:
    # The child has the loops, but not their threads.
    global _backgrounds, _lock  # all of it is made anew
    _backgrounds, _lock = [], threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Call:
    """One call that a thread waits for. ``start`` and ``cancel`` run on the loop, and again without effect.

    Attributes:
        ended: Whether it has; ``result`` and ``error`` are there then.
        at_work: Held until it has ended. A bare lock, since the interpreter itself waits for one: an interrupt in the
            middle of ``threading.Event.wait``, which is Python, can leave the event's own lock locked for ever.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self.ended = False
        self.at_work = threading.Lock()
        self.at_work.acquire()
        self.result: Any = None
        self.error: BaseException | None = None
        self._make = make
        self._context = copy_context()
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def start(self) -> None:
        if self._task is None and not self.ended:
            self._task = asyncio.get_running_loop().create_task(self._main(), context=self._context)
            self._task.add_done_callback(self._done)

    def cancel(self) -> None:
        self.start()
        if not self._cancelled and self._task is not None:
            self._cancelled = True
            self._task.cancel("its caller was interrupted")

    async def _main(self) -> None:
        try:
            self.result = await self._make()
        except BaseException as exc:  # it is the outcome, raised where the caller waits
            self.error = exc

    def _done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and self.error is None:
            self.error = asyncio.CancelledError()  # cancelled before its first step
        self._task = None  # it dies here: Python loses an interrupt that comes while a dead task is swept up
        self.ended = True
        self.at_work.release()


def _runs_here(background: Background) -> bool:
    """Whether this is called by async code, or by code that sees the loop, on the thread of ``background``."""
    return threading.get_ident() == background.thread and _get_running_loop() is background.loop


def run_in_background(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine that ``make`` gives on the background loop, and wait for it.

    It sees the caller's context variables. An interrupt cancels it, waits for it to end, and is raised then.
    """
    if any(_runs_here(one) for one in _backgrounds):
        raise UsageError(
            "this runs on the loop that would have to do the work, so waiting for it here would never end. "
            "Inside a node, write: await engine.run(...), or await asyncio.to_thread(...) of what has no such form"
        )
    background = _started()
    call = _Call(make)
    interrupted: BaseException | None = None
    # An interrupt can come between any two steps here. Whatever it cuts off is done again, which does no harm.
    while True:
        try:
            if call.ended:
                break
            background.loop.call_soon_threadsafe(call.start if interrupted is None else call.cancel)
            with step_aside():
                while not call.at_work.acquire(timeout=_LOOK_EVERY_S):
                    pass
        except BaseException as exc:  # Ctrl-C, or a signal handler that raises
            interrupted = exc
    if interrupted is not None:
        raise interrupted
    if call.error is not None:
        raise call.error
    result: T = call.result
    return result


run_waiting.call = run_in_background
