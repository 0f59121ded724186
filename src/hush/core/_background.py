"""The loop of ``run_sync``: one for the process, in a daemon thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from hush.core.errors import UsageError

T = TypeVar("T")


class Background:
    """A loop that runs for ever in its own thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="hush-loop", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


_background: Background | None = None
_lock = threading.Lock()


def _started() -> Background:
    global _background
    with _lock:
        if _background is None:
            _background = Background()
        return _background


def _after_fork() -> None:
    # The child has the loop, but not its thread.
    global _background, _lock
    _background, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Call:
    """One call that a thread waits for."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.task: asyncio.Task[Any] | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.cancelled_early = False

    def start(self, make: Callable[[], Coroutine[Any, Any, Any]], loop: asyncio.AbstractEventLoop, context: Any) -> None:
        self.task = loop.create_task(self._main(make), context=context)
        if self.cancelled_early:
            self.task.cancel()
        self.task.add_done_callback(self._done)

    async def _main(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            self.result = await make()
        except BaseException as exc:  # it is the outcome, raised where the caller waits
            self.error = exc

    def _done(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() and self.error is None:
            self.error = asyncio.CancelledError()
        self.ended.set()

    def cancel(self) -> None:
        """Cancel the call, on the loop's thread."""
        if self.task is None:
            self.cancelled_early = True
        else:
            self.task.cancel()


def run_in_background(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine that ``make`` gives on the background loop, and wait for it.

    It sees the caller's context variables. An interrupt cancels it, waits for it to end, and is raised then.
    """
    background = _started()
    if threading.current_thread() is background.thread:
        raise UsageError(
            "this runs on the loop that would have to do the work, so waiting for it here would never end. "
            "Inside a node, write: await engine.run(...)"
        )
    call = _Call()
    background.loop.call_soon_threadsafe(call.start, make, background.loop, copy_context())
    interrupted: BaseException | None = None
    while True:
        try:
            call.ended.wait()
            break
        except BaseException as exc:  # Ctrl-C, or a signal handler that raises
            interrupted = exc
            background.loop.call_soon_threadsafe(call.cancel)
    if interrupted is not None:
        raise interrupted
    if call.error is not None:
        raise call.error
    result: T = call.result
    return result
