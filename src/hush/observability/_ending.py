"""The end of the process: all pipelines have a bounded time then, whichever way it ends.

An interpreter that ends calls what is registered with ``atexit``. A child that ``multiprocessing`` has forked, or has
had forked by its server, is left by ``os._exit``: before Python 3.13 nothing of that is called, and since then nothing
that its parent had registered. But the finalizers of ``multiprocessing.util`` are, so such a child has one of ours.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any, Protocol
from weakref import WeakSet

EXIT_S = 4.0
"""For so long the end of the process waits for all pipelines together."""
_LEAST_S = 0.01
"""For so long each of them is waited for in any case."""
_LATE = -50
"""The priority of our finalizer: after those of others, which may run graphs, and before the folders for temporary
files are removed (-100), where a file of traces may lie."""


class Closable(Protocol):
    """What has something to hand over before the process ends."""

    def begin_to_close(self, until_s: float, /) -> None:
        """Hand over what is left, until ``until_s`` of the monotonic clock. It is not waited for."""
        ...

    def close(self, timeout_s: float, /) -> None:
        """Wait for that; what is left then is dropped."""
        ...

    def reopen(self) -> None:
        """Take more after all, if it is closed."""
        ...

    def after_fork(self) -> None:
        """This is a child, and what there was is its parent's."""
        ...


def close_all(ending: Sequence[Closable], timeout_s: float) -> None:
    """Have them hand over what is left, all at once, for at most ``timeout_s`` and 10 ms for each that hangs."""
    until_s = monotonic() + timeout_s
    for one in ending:  # all of them first: one that hangs must not take the others' time
        one.begin_to_close(until_s)
    for one in ending:
        one.close(max(_LEAST_S, until_s - monotonic()))


class Process:
    """A process, and what is to be closed when it ends.

    Args:
        exit_s: How long that may take.
    """

    def __init__(self, exit_s: float = EXIT_S) -> None:
        self.all: WeakSet[Closable] = WeakSet()
        self._exit_s = self._left_s = exit_s
        self._hears = False
        self._finalizer: Any = None

    def end(self) -> list[Closable]:
        """Close all; what has been closed."""
        ending, began_s = list(self.all), monotonic()
        close_all(ending, self._left_s)
        self._left_s = max(0.0, self._left_s - (monotonic() - began_s))  # some end twice, and have that time once
        return ending

    def hear(self) -> None:
        """Hear of its end if it is a child of ``multiprocessing``, or is about to be one.

        Such a child clears all finalizers before it begins its work, and then calls what was registered for that.
        """
        # Where nobody has imported them it is no such child, and what importing them would take is saved.
        process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
        if process is None or util is None:
            return
        if not self._hears:  # children have it from their parents
            self._hears = True
            util.register_after_fork(self, Process.finalize)
        if process.parent_process() is not None:
            self.finalize()

    def finalize(self) -> None:
        """Have the end of this child called, once."""
        if self._finalizer is None or not self._finalizer.still_active():
            util = sys.modules["multiprocessing.util"]
            self._finalizer = util.Finalize(None, self._ends_as_child, exitpriority=_LATE)

    def after_fork(self) -> None:
        """It is another one now."""
        self._left_s, self._finalizer = self._exit_s, None
        for one in list(self.all):
            one.after_fork()
        self.hear()

    def _ends_as_child(self) -> None:
        if _others():
            threading.Thread(target=self._end_as_child, name="hush-tracer-end", daemon=False).start()
        else:
            self._end_as_child()

    def _end_as_child(self) -> None:
        while others := _others():
            for thread in others:
                thread.join()
        for one in self.end():  # who was not forked goes on to what ``atexit`` has, and that may run graphs
            one.reopen()


def _others() -> list[threading.Thread]:
    """The threads that are still waited for: before Python 3.13 a child waits for them after its finalizers.

    Those of executors are told to end only then, so whoever is to be the last must be one more of them.
    """
    mine = threading.main_thread(), threading.current_thread()
    return [thread for thread in threading.enumerate() if not thread.daemon and thread not in mine]


_this = Process()


def close_at_end(one: Closable) -> None:
    """Have it closed when this process ends, if somebody still refers to it."""
    _this.all.add(one)


atexit.register(_this.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_this.after_fork)
_this.hear()
