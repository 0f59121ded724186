"""Tries a leaf again: which failures, after which wait, and within which bounds.

Outside of it stands the cache alone, inside of it the admission: who waits to try again holds no limit.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Callable
from random import Random, random
from typing import Any
from weakref import WeakKeyDictionary

from hush.core._plan._model import StepPlan
from hush.core._runtime._calls import Attempt, TooLate, Try
from hush.core._runtime._frame import Frame
from hush.core._runtime._retry_budget import RetryBudget, budget_of
from hush.core._runtime._run import Raised, forget_frames, trim
from hush.core._runtime._signals import signal_of
from hush.core._runtime._strand import Strand
from hush.core._spec._policies import Retry
from hush.core.errors import GraphError, InputError, MissingKeyError, OutputError, SourceError

GIVE_UP_S = 600.0
"""Where a limit has seen nothing but refusals for so long, no failure is tried again, until a call is served: thousands
of items, each with its own patience, would wait for days."""
MISTAKES = (GraphError, InputError, MissingKeyError, OutputError, SourceError)
"""What is wrong with what was written; it would be wrong again, whatever ``on=`` says."""


def retried(retry: Retry, call: Try, *, waits: bool) -> Try:
    """``call``, tried again as ``retry`` says; ``waits`` is whether a call waits to be admitted.

    A failure comes out as ``Raised``, located with the number of its attempt; cancellations are raised.
    """
    rule = retry.rule()

    async def tried(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Any:
        try:
            tries = _Tries(retry, rule, strand.run.loop, attempt)
            before: Raised | None = None
            while True:
                one = tries.next()
                out: Any
                try:
                    out = await call(strand, frame, step, one)
                except TooLate:
                    assert before is not None  # the first attempt is never too late
                    strand.run.locate(before.error, frame.item, step, tries.withdraw(), tries.bound)
                    return before
                except (CancelledError, GeneratorExit) as exc:
                    if isinstance(exc, GeneratorExit) or is_ending(strand):
                        raise
                    out = Raised(exc)  # the function's own
                except BaseException as exc:
                    out = Raised(exc)
                # Out of the ``except``: what the next attempt raises must not have this as its context.
                if type(out) is not Raised:
                    tries.succeeded()
                    return out
                wait_s = None
                try:
                    if not is_ending(strand):
                        wait_s = tries.wait_s(out.error)
                except BaseException as wrong:  # what ``on=`` raised
                    if wrong is not out.error:
                        wrong.__context__ = out.error
                    out = Raised(wrong)
                if wait_s is None:
                    attempt.bound = tries.bound
                    strand.run.locate(out.error, frame.item, step, one.number, tries.bound)
                    return out
                _tell(strand, frame, step, one.number, out.error, wait_s)
                before = out if waits and retry.max_total_s is not None else None
                out = None
                await asyncio.sleep(wait_s)
                await _room(strand)
        finally:
            # Failures that were told, and may be kept, remember this call (from Python 3.12 on).
            before = out = None
            del strand, frame

    return tried


async def _room(strand: Strand) -> None:
    """Wait until whoever listens to the run can take more."""
    tracing = strand.run.tracing
    if tracing is not None and tracing.held and strand.held_back:
        await tracing.room()


def is_ending(strand: Strand) -> bool:
    """Whether the step's failure can only be one of a run, map or graph that is ending anyway."""
    task: asyncio.Task[Any] = strand.task
    return strand.domain.closing or task.cancelling() > strand.floor


def _tell(strand: Strand, frame: Frame, step: StepPlan, number: int, error: BaseException, wait_s: float) -> None:
    """Tell of a failure after which another attempt follows; the values in its frames go, since others may keep it."""
    trim(error)
    forget_frames(error)
    tracing = strand.run.tracing
    if tracing is not None:
        tracing.node_retrying(frame, step, number, error, wait_s)


class _Tries:
    """The attempts of one call.

    Attributes:
        bound: Which bound kept the last failure from being tried again; nothing if it was none to be tried again.
    """

    __slots__ = ("_attempt", "_began_s", "_budget", "_count", "_loop", "_outer", "_retry", "_rule", "_taken_s", "bound")

    def __init__(
        self,
        retry: Retry,
        rule: Callable[[Exception], object] | None,
        loop: asyncio.AbstractEventLoop,
        outer: Attempt,
    ) -> None:
        self._retry = retry
        self._rule = rule
        self._loop = loop
        self._outer = outer
        self._attempt: Attempt | None = None
        self._count = 0
        self._began_s = loop.time()
        self._budget: RetryBudget | None = budget_of(retry, loop)
        self._taken_s: list[float] = []
        self.bound = ""
        if self._budget is not None:
            self._budget.call(self._began_s)

    def next(self) -> Attempt:
        """The next attempt."""
        retry, outer = self._retry, self._outer
        self._count += 1
        made = Attempt(outer.earlier + self._count)
        made.left_behind = outer.left_behind
        made.request, made.corrections = outer.request, outer.corrections
        made.last = outer.last and self._count == retry.max_attempts
        if made.last:
            made.bound = f"max_attempts={retry.max_attempts}"
        if retry.max_total_s is not None:
            made.give_up_s = min(retry.max_total_s, GIVE_UP_S)
        if self._count > 1 and retry.max_total_s is not None:
            made.start_by_s = self._began_s + retry.max_total_s
        outer.number = made.number
        self._attempt = made
        return made

    def withdraw(self) -> int:
        """The attempt was not admitted in time and is not made; gives the number of the one before."""
        assert self._attempt is not None
        self._outer.number = self._attempt.number - 1
        self.bound = self._late
        return self._outer.number

    @property
    def _late(self) -> str:
        return f"max_total_s={self._retry.max_total_s:g}"

    def succeeded(self) -> None:
        """The call has succeeded."""
        if self._taken_s and self._budget is not None:
            self._budget.give_back(self._loop.time(), self._taken_s)

    def wait_s(self, error: BaseException) -> float | None:
        """In how many seconds the next attempt follows the failure ``error``; ``None`` if none does."""
        one, retry = self._attempt, self._retry
        assert one is not None
        if one.abandoned:
            self._outer.abandoned = True
            self.bound = "its call is still at work in a thread"
            return None
        if not isinstance(error, Exception) or isinstance(error, MISTAKES):
            return None
        if one.hopeless:
            self.bound = f"for {one.give_up_s:g} s all calls were refused"
            return None
        signal = signal_of(error)
        if not (signal.retryable if self._rule is None else self._rule(error)):
            return None
        if self._count >= retry.max_attempts:
            self.bound = f"max_attempts={retry.max_attempts}"
            return None
        told_s = signal.retry_after_s
        wait_s = _drawn_s(retry, self._count, told_s, self._loop)
        if self._outer.patience_s is not None and wait_s > self._outer.patience_s:
            self.bound = f"it would have waited {wait_s:.1f} s, and another can be asked"
            return None
        now_s = self._loop.time()
        if retry.max_total_s is not None and now_s + wait_s > self._began_s + retry.max_total_s:
            self.bound = self._late
            return None
        if told_s is None and not one.shut and self._budget is not None:
            if not self._budget.take(now_s):
                self.bound = f"budget={retry.budget:g}"
                return None
            self._taken_s.append(now_s)
        return wait_s


# --- waits ------------------------------------------------------------------------------------------------------------
def _drawn_s(retry: Retry, attempt: int, told_s: float | None, loop: asyncio.AbstractEventLoop) -> float:
    longest_s = retry.longest_s(attempt)
    if not retry.jitter:
        return longest_s if told_s is None else max(longest_s, told_s)
    wait_s = longest_s * _chance(loop)
    if told_s is None or wait_s > told_s:
        return wait_s
    return told_s + min(retry.backoff_s, retry.max_backoff_s) * _chance(loop)


_draws: WeakKeyDictionary[asyncio.AbstractEventLoop, Random] = WeakKeyDictionary()


def _chance(loop: asyncio.AbstractEventLoop) -> float:
    """A number from 0 to 1; on a test's loop always the same ones, so that a seed gives the same run."""
    if not hasattr(loop, "runs_inline"):
        return random()
    draws = _draws.get(loop)
    if draws is None:
        draws = _draws[loop] = Random(repr(getattr(loop, "seed", None)))
    return draws.random()
