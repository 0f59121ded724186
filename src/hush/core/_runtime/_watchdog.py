"""The watchdog: names a call that has held up an event loop for more than a second, while it does."""

from __future__ import annotations

import logging
import os
import threading
from time import perf_counter_ns
from types import TracebackType

from hush.core._runtime._pass import BUDGET_NS, Pass

log = logging.getLogger("hush.executor")

HELD_UP_NS = 1_000_000_000
_LOOK_EVERY_S = 0.5


class _Watchdog:
    """One daemon thread for the process; it sleeps while nothing runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._watched: dict[Pass, int] = {}
        self._thread: threading.Thread | None = None

    def add(self, budget: Pass) -> None:
        with self._lock:
            self._watched[budget] = self._watched.get(budget, 0) + 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="hush-watchdog", daemon=True)
                self._thread.start()
        self._awake.set()

    def remove(self, budget: Pass) -> None:
        with self._lock:
            left = self._watched[budget] - 1
            if left:
                self._watched[budget] = left
            else:
                del self._watched[budget]
                if not self._watched:
                    self._awake.clear()

    def _look(self) -> None:
        named: dict[Pass, int] = {}
        while True:
            self._awake.wait()
            threading.Event().wait(_LOOK_EVERY_S)
            with self._lock:
                watched = list(self._watched)
            for budget in watched:
                step, deadline_ns = budget.at, budget.deadline_ns
                held_ns = perf_counter_ns() - (deadline_ns - BUDGET_NS)
                if step is not None and deadline_ns and held_ns > HELD_UP_NS and named.get(budget) != deadline_ns:
                    named[budget] = deadline_ns
                    log.warning(
                        '%s has held up the event loop for %.1f s (%s); executor="thread" runs it beside the loop',
                        step.path,
                        held_ns / 1e9,
                        step.where,
                    )
            named = {budget: at for budget, at in named.items() if budget in watched}


_watchdog = _Watchdog()


def _after_fork() -> None:
    global _watchdog
    _watchdog = _Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class watch:  # noqa: N801  # used like the context manager function it is
    """Watch over the loop of ``budget`` while a run is under way."""

    __slots__ = ("_budget",)

    def __init__(self, budget: Pass) -> None:
        self._budget = budget

    def __enter__(self) -> None:
        _watchdog.add(self._budget)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _watchdog.remove(self._budget)
