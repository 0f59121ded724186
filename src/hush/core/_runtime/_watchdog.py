"""The watchdog: names a call that has held up an event loop for more than a second, and looks for stalled runs."""

from __future__ import annotations

import os
import threading
from time import perf_counter_ns

from hush.core._logs import logger
from hush.core._runtime._about import about
from hush.core._runtime._pass import BUDGET_NS, Pass, busy_passes

log = logger("hush.executor")

HELD_UP_NS = 1_000_000_000
_LOOK_EVERY_S = 0.5


class Watchdog:
    """One daemon thread for the process, which looks at the loops while something runs on them and sleeps else."""

    def __init__(self) -> None:
        self._awake = threading.Event()
        self._pause = threading.Event()
        self._started = False

    def wake(self) -> None:
        """A run begins."""
        if not self._awake.is_set():
            self._awake.set()
            if not self._started:
                try:
                    threading.Thread(target=self._look, name="hush-watchdog", daemon=True).start()
                except RuntimeError:  # there are no more, or the interpreter ends: runs do without
                    self._awake.clear()
                else:
                    self._started = True

    def _look(self) -> None:
        named: dict[int, int] = {}
        while True:
            self._awake.wait()
            self._pause.wait(_LOOK_EVERY_S)
            busy = busy_passes()
            for budget in busy:
                self._look_at(budget, named)
                self._look_for_stalls(budget)
            if not busy:
                named.clear()
                self._awake.clear()
                if busy_passes():
                    self._awake.set()  # a run began while this thread was about to sleep

    def _look_at(self, budget: Pass, named: dict[int, int]) -> None:
        step, frame, run, deadline_ns = budget.at, budget.frame, budget.run, budget.deadline_ns
        held_ns = perf_counter_ns() - (deadline_ns - BUDGET_NS)
        if step is None or not deadline_ns or held_ns <= HELD_UP_NS or named.get(id(budget)) == deadline_ns:
            return
        named[id(budget)] = deadline_ns
        log.warning(
            '%s has held up the event loop for %.1f s (%s); executor="thread" runs it beside the loop',
            step.path,
            held_ns / 1e9,
            step.where,
            extra=about(None if run is None else run.id, step.path, () if frame is None else frame.item),
        )

    def _look_for_stalls(self, budget: Pass) -> None:
        loop = budget.of()
        if loop is None or budget.endless or loop.is_closed():
            return
        from hush.core._runtime._stalls import look

        try:
            loop.call_soon_threadsafe(look, budget)
        except RuntimeError:
            pass  # it was closed just now


watchdog = Watchdog()


def _after_fork() -> None:
    global watchdog  # noqa: PLW0603  # the one place that makes it anew
    watchdog = Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
