"""``until_told``: a coroutine runs to its end, or until SIGINT or SIGTERM ends it within two seconds.

It runs on a loop in a thread of its own, so that a call that holds the loop up does not hold up the main thread, where
Python hears of signals.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any, Generic, TypeVar, cast

from hush.cli._exit import say

T = TypeVar("T")

CANCEL_S = 1.2
"""A run that is cancelled gets so long to end: the engine leaves behind what is in worker threads after a second."""
LEAVE_S = 1.9
"""So long after a signal the process is gone, whatever keeps it: a second one does not wait."""
_CLOSE_S = LEAVE_S - 0.1
"""So long after it there is time to write what was recorded."""
_LOOK_EVERY_S = 0.1
_TURN_S = 0.0004
"""For so long a thread has the interpreter once a signal has come. With the usual 5 ms, and threads that compute, the
one that closes the trace waits for a tenth of a second each time, and it needs it more often than there is time. Not
the 0.5 ms that a writer of traces sets for a while (``_local/_turns.py``): it puts back what it has set itself."""


class Told(Exception):
    """The run was ended by a signal.

    Attributes:
        number: Of the signal.
        ended: Whether everything in the run has ended; else something does not let itself be cancelled.
        left_s: How long there is for what is still to do.
    """

    def __init__(self, number: int, *, ended: bool, left_s: float) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.ended = ended
        self.left_s = left_s


class _Thread(Generic[T]):
    """The loop and its thread."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[T] | None = None
        self._cancelled = ""  # why, once it is
        self._lock = threading.Lock()
        self.at_work = threading.Lock()  # a bare one: see ``hush.core._background``
        self.at_work.acquire()
        self.result: T | None = None
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin; once."""
        threading.Thread(target=self._run, name="hush-run", daemon=True).start()

    def cancel(self, why: str) -> None:
        """Cancel the run, now or as soon as it begins. Called where signals are heard: it never waits for the loop."""
        self._cancelled = why
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            try:
                loop.call_soon_threadsafe(task.cancel, why)
            except RuntimeError:
                pass  # it has just been closed

    async def _main(self) -> T:
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._cancelled and self._task is not None:
            self._task.cancel(self._cancelled)
        return await self._make()

    def _run(self) -> None:
        try:
            self.result = asyncio.run(self._main())
        except BaseException as error:  # raised where it is waited for
            self.error = error
        finally:
            self.at_work.release()


def until_told(make: Callable[[], Coroutine[Any, Any, T]], on_told: Callable[[str], None]) -> T:
    """Run what ``make`` gives and wait for it. The first SIGINT or SIGTERM cancels it; the second ends the process.

    Args:
        make: Makes the coroutine, in the thread that will run it.
        on_told: Is told the signal's name, in the main thread, when the first one has come.

    Raises:
        Told: A signal came; whether or not the run had ended by then.
    """
    told: list[int] = []
    told_s = 0.0
    is_said = False
    run = _Thread(make)

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal told_s
        if told:
            os._exit(128 + number)
        told.append(number)
        told_s = monotonic()
        sys.setswitchinterval(_TURN_S)  # for good: the process ends
        run.cancel(f"by {signal.Signals(number).name}")

    def left_s(within_s: float) -> float:
        return max(0.0, told_s + within_s - monotonic())

    with _why_asked(), _hearing(hear, told):
        run.start()
        while not (ended := run.at_work.acquire(timeout=_LOOK_EVERY_S)):
            if told and not is_said:
                is_said = True
                _leave_within(left_s(LEAVE_S), told[0])
                on_told(signal.Signals(told[0]).name)
            if told and not left_s(CANCEL_S):
                break
    if told and not is_said:  # the run has ended by now, but what is still to do may not
        _leave_within(left_s(LEAVE_S), told[0])
    if told and (run.error is not None or not ended):
        raise Told(told[0], ended=ended, left_s=left_s(_CLOSE_S)) from (run.error if ended else None)
    if run.error is not None:
        raise run.error
    return cast(T, run.result)


@contextmanager
def _hearing(hear: Callable[[int, FrameType | None], None], told: list[int]) -> Generator[None]:
    """Have both signals heard by ``hear`` where that is possible, in the main thread; for good once one is told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, one in () if told else before.items():
            signal.signal(number, one if one is not None else signal.SIG_DFL)


@contextmanager
def _why_asked() -> Generator[None]:
    """SIGUSR1 asks what the run is at, unless the user's code does something else then."""
    number: Any = getattr(signal, "SIGUSR1", None)
    here = threading.current_thread() is threading.main_thread()
    if number is None or not here or signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return
    from hush.core import why_on_signal

    why_on_signal(number)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def _leave_within(seconds: float, number: int) -> None:
    """End the process by then: something that Python waits for when it ends may not end."""
    timer = threading.Timer(seconds, _leave, (number,))
    timer.daemon = True
    timer.start()


def _leave(number: int) -> None:
    say(f"hush: something does not end; leaving it ({signal.Signals(number).name})")
    os._exit(128 + number)
