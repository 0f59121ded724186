"""``RunHandle``: a run under way, as ``engine.start`` gives it: to await, to cancel, and to ask why it stands still."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Coroutine, Generator
from typing import Any

from hush.core._result import Result
from hush.core._why import InFlight, Why
from hush.core.errors import UsageError

_under_way: set[asyncio.Task[Result]] = set()  # a loop refers to its tasks weakly


class RunHandle:
    """A run under way. ``await handle`` gives its result, or raises what it raised; more than once, if you like.

    If the task that awaits it is cancelled, so is the run; ``await asyncio.shield(handle)`` leaves it running. A run
    whose handle nobody awaits goes on to its end; what it raises then only the loop's exception handler hears of.
    """

    def __init__(self, name: str, run: Coroutine[Any, Any, Result], watcher: InFlight) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            run.close()
            raise UsageError(
                "engine.start() needs a running loop; from code that is not async, use run_sync."
            ) from None
        self.name = name
        self._watcher = watcher
        self._task = loop.create_task(run)
        _under_way.add(self._task)
        self._task.add_done_callback(_under_way.discard)

    def __await__(self) -> Generator[Any, None, Result]:
        try:
            return (yield from self._task.__await__())
        except CancelledError:
            # The awaiting task was cancelled between the end of the run and its own turn: a failure is told even then.
            if self._task.done() and not self._task.cancelled():
                self._task.result()
            raise

    def cancel(self) -> bool:
        """Cancel the run and everything in it. Gives ``False`` if it has ended. ``await`` the handle to wait for it."""
        return self._task.cancel()

    def done(self) -> bool:
        """Whether the run has ended, well or not."""
        return self._task.done()

    def why(self) -> Why:
        """What the run is doing at this instant: what is at work and since when, what waits, and for what."""
        if not self._task.done():
            return self._watcher.why()
        return self._watcher.ended(cancelled=self._task.cancelled())

    def __repr__(self) -> str:
        return f"<run of {self.name!r}: {'done' if self._task.done() else 'under way'}>"
