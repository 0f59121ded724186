"""How many retries there may be beside the calls, counted for all that share one ``Retry``.

Retries are a fraction of the calls of the last seconds, and some in any case. So a service that is down gets few more
calls than it would get without retries, instead of several times as many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Lock
from weakref import WeakKeyDictionary

from hush.core._spec._policies import Retry

PERIOD_S = 10
"""How far back calls and retries count."""
ALWAYS = 100
"""Retries that there may be in one period however few calls there are: ten a second.

A fraction of 0.2, ten a second and ten seconds are what Finagle's ``RetryBudget`` takes:
https://finagle.github.io/blog/2016/02/08/retry-budgets.
"""


class RetryBudget:
    """The count. Every moment is passed in, in seconds of one clock; it may be used from any thread."""

    __slots__ = ("_calls", "_fraction", "_lock", "_retries", "_second")

    def __init__(self, fraction: float) -> None:
        self._fraction = fraction
        self._calls = [0] * PERIOD_S  # by second
        self._retries = [0] * PERIOD_S
        self._second = 0
        self._lock = Lock()

    def call(self, now_s: float) -> None:
        """Something is called for the first time."""
        with self._lock:
            self._calls[self._at(now_s)] += 1

    def take(self, now_s: float) -> bool:
        """Take what one retry costs; ``False`` if nothing is left."""
        with self._lock:
            at = self._at(now_s)
            if sum(self._retries) + 1 > ALWAYS + self._fraction * sum(self._calls):
                return False
            self._retries[at] += 1
            return True

    def give_back(self, now_s: float, taken_s: Sequence[float]) -> None:
        """A call has succeeded after the retries that were taken at these moments: they cost nothing."""
        with self._lock:
            self._at(now_s)
            for each_s in taken_s:
                if int(each_s) > self._second - PERIOD_S:
                    self._retries[int(each_s) % PERIOD_S] -= 1

    def _at(self, now_s: float) -> int:
        """The place of this second; what is older than a period is forgotten."""
        second = int(now_s)
        for passed in range(self._second + 1, min(second, self._second + PERIOD_S) + 1):
            self._calls[passed % PERIOD_S] = self._retries[passed % PERIOD_S] = 0
        self._second = max(self._second, second)
        return self._second % PERIOD_S


_of_the_process: WeakKeyDictionary[Retry, RetryBudget] = WeakKeyDictionary()
_of_tests: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakKeyDictionary[Retry, RetryBudget]] = WeakKeyDictionary()
_lock = Lock()


def budget_of(retry: Retry, loop: asyncio.AbstractEventLoop) -> RetryBudget | None:
    """The one of ``retry``, whatever loop it is used on; but one of its own on a test's loop, whose time is its own."""
    if retry.budget is None:
        return None
    budgets = _of_the_process
    if hasattr(loop, "runs_inline"):
        with _lock:
            of_loop = _of_tests.get(loop)
            if of_loop is None:
                of_loop = _of_tests[loop] = WeakKeyDictionary()
        budgets = of_loop
    found = budgets.get(retry)
    if found is None:
        with _lock:
            found = budgets.setdefault(retry, RetryBudget(retry.budget))
    return found
