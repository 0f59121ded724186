"""``Strand``: one task's share of a domain: the steps that are ready, and those that are to be awaited.

A strand runs what is ready inline (``drive``), keeps the first step that must be awaited and awaits it. The others
wait in ``pending`` and get tasks of their own only when the loop gets control back, because the step that is awaited
has really suspended. So a graph of ``def`` makes no task, a chain of ``async def`` no further one, a fan-out to k
steps that suspend k - 1, and coroutines that never suspend cost none at all.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from asyncio.events import _set_running_loop
from collections import deque
from contextvars import Context, copy_context
from time import perf_counter_ns
from typing import Any, TypeAlias

from hush.core._plan._model import StepPlan
from hush.core._runtime._domain import Domain
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._gate import SLOW_NS
from hush.core._runtime._run import Raised, Run
from hush.core._spec._model import TAGS

Pending: TypeAlias = "tuple[Frame, StepPlan, Any]"


class Strand:
    """One line of execution in ``domain``.

    Attributes:
        ready: Steps to run now, the next one last.
        pending: Steps to await, oldest first, each with its awaitable if the step has given one already.
        context: The context variables that every step of this strand starts from.
    """

    __slots__ = ("_spawning", "context", "domain", "floor", "pending", "ready", "run", "task")

    def __init__(self, run: Run, domain: Domain, task: asyncio.Task[Any], floor: int) -> None:
        self.run = run
        self.domain = domain
        self.task = task
        self.floor = floor
        self.ready: Ready = []
        self.pending: deque[Pending] = deque()
        self.context: Context | None = None
        self._spawning = False

    # --- inline -------------------------------------------------------------------------------------------
    def drive(self) -> bool:
        """Run all that is ready and need not be awaited. ``False`` if the budget of the pass was spent before."""
        ready, run = self.ready, self.run
        budget, tracing, inline_only = run.budget, run.tracing, run.inline_only
        hidden = False
        now_ns = perf_counter_ns()
        if not budget.deadline_ns:
            budget.open(now_ns)
        deadline_ns = budget.deadline_ns
        try:
            while ready:
                frame, step = ready.pop()
                if frame.marks is not None and not frame.runs(step):
                    self._skip(frame, step)
                    continue
                gate = step.gate
                if gate is None or not (gate.inline or inline_only):
                    if step.body is not None and step.begin is None:
                        self._enter(frame, step)
                    else:
                        self.pending.append((frame, step, None))
                    continue
                if gate.hides_loop is not hidden:
                    hidden = not hidden
                    _set_running_loop(None if hidden else run.loop)
                if tracing is not None:
                    tracing.node_started(frame, step)
                budget.at = step
                try:
                    out = step.call(frame.slots)
                    if type(out) is not dict and hasattr(out, "__await__"):
                        self.pending.append((frame, step, out))
                        continue
                    out = frame.take(step, out)
                    if TAGS in out:
                        run.tag(step, out[TAGS])
                except BaseException as exc:  # whatever a user's function raises is the step's failure
                    self.failed(frame, step, exc)
                else:
                    if tracing is None:
                        frame.finish(step, ready)
                    else:
                        tracing.node_finished(frame, step, ready)
                    if not frame.left:
                        self._complete(frame)
                out = None  # what nobody reads dies now
                before_ns, now_ns = now_ns, perf_counter_ns()
                if now_ns - before_ns > SLOW_NS or gate.wary:
                    gate.ran_inline(now_ns - before_ns, step.path)
                if now_ns > deadline_ns:
                    return not ready
            return True
        finally:
            budget.at = None
            if hidden:
                _set_running_loop(run.loop)

    def _skip(self, frame: Frame, step: StepPlan) -> None:
        if self.run.tracing is None:
            frame.skip(step, self.ready)
        else:
            self.run.tracing.node_skipped(frame, step, self.ready)
        if not frame.left:
            self._complete(frame)

    def _enter(self, frame: Frame, step: StepPlan) -> None:
        """Go into a nested graph that is no domain of its own: its steps run in this strand."""
        assert step.body is not None
        tracing = self.run.tracing
        if tracing is not None:
            tracing.node_started(frame, step)
        try:
            slots = step.call(frame.slots)
        except BaseException as exc:
            self.failed(frame, step, exc)
            return
        inner = Frame(step.body, slots, (frame, step), frame.item)
        if tracing is None:
            inner.start(self.ready)
        else:
            tracing.frame_started(inner, self.ready)

    def _complete(self, frame: Frame) -> None:
        """``frame`` has settled all its steps: settle the step that it runs for, and so on outwards."""
        while not frame.left and frame.owner is not None:
            outer, step = frame.owner
            try:
                outer.take(step, frame.outputs())
            except BaseException as exc:
                self.failed(outer, step, exc)
                return
            if self.run.tracing is None:
                outer.finish(step, self.ready)
            else:
                self.run.tracing.node_finished(outer, step, self.ready)
            frame = outer

    def failed(self, frame: Frame, step: StepPlan, exc: BaseException) -> None:
        """``step`` raised: go on without it if the graph does, else end the domain. Raises a cancellation again."""
        domain = self.domain
        cancelled = domain.closing or self.task.cancelling() > self.floor
        if isinstance(exc, CancelledError) and cancelled:
            if domain.closing:
                self.stop()
                return
            raise exc
        run = self.run
        run.locate(exc, frame.item, step)
        if step.handled and isinstance(exc, Exception | CancelledError):
            if cancelled:  # what would have been handled gives way to the cancellation
                self.stop()
                if not domain.closing:
                    raise CancelledError
                return
            run.collect(exc, step.path, frame.item, partial=not step.named)
            if run.tracing is None:
                frame.fail(step, exc, self.ready)
            else:
                run.tracing.node_failed(frame, step, exc, handled=True, ready=self.ready)
            if not frame.left:
                self._complete(frame)
            return
        if run.tracing is not None:
            run.tracing.node_failed(frame, step, exc, handled=False, ready=self.ready)
        domain.fail(exc, self.task)
        self.stop()

    def stop(self) -> None:
        """Forget what was still to do: the domain is ending."""
        self.ready.clear()
        while self.pending:
            _, _, awaitable = self.pending.popleft()
            close = getattr(awaitable, "close", None)
            if close is not None:
                close()  # a coroutine that nobody will await

    # --- awaiting -----------------------------------------------------------------------------------------
    async def work(self) -> None:
        """Drive and await until nothing is left for this task."""
        run, domain, pending = self.run, self.domain, self.pending
        self.context = copy_context()
        while True:
            while self.ready and not self.drive():
                self._spawn_pending()
                await run.budget.turn(served=True)
                self._check_cancelled()
            if not pending:
                return
            frame, step, awaitable = pending.popleft()
            if pending and not self._spawning:
                self._spawning = True
                domain.loop.call_soon(self._suspended)
            await self._await(frame, step, awaitable)
            if not self.ready and not pending:
                return
            if copy_context() != self.context:
                # The step set a context variable in this task: what follows goes on in one that has not seen it.
                self._move()
                return
            if run.budget.must_wait(perf_counter_ns()):
                self._spawn_pending()
                await run.budget.turn(served=False)
                self._check_cancelled()

    async def _await(self, frame: Frame, step: StepPlan, awaitable: Any) -> None:
        """Await one step and settle it."""
        run, domain = self.run, self.domain
        try:
            if awaitable is None:
                if run.tracing is not None:
                    run.tracing.node_started(frame, step)
                awaitable = step.call(frame.slots) if step.begin is None else step.begin(self, frame, step)
            out = await awaitable
            awaitable = None
            if type(out) is Raised:
                self.failed(frame, step, out.error)
                return
            if domain.closing or self.task.cancelling() > self.floor:
                self._check_cancelled()
                return
            out = frame.take(step, out)
            if TAGS in out:
                run.tag(step, out[TAGS])
        except BaseException as exc:  # whatever a user's function raises is the step's failure
            awaitable = None
            self.failed(frame, step, exc)
            return
        out = None  # what nobody reads dies now
        if run.tracing is None:
            frame.finish(step, self.ready)
        else:
            run.tracing.node_finished(frame, step, self.ready)
        if not frame.left:
            self._complete(frame)

    def _check_cancelled(self) -> None:
        """After an await: stop if the domain is ending, and pass on a cancellation that a step swallowed."""
        if self.domain.closing:
            self.stop()
        elif self.task.cancelling() > self.floor:
            self.stop()
            raise CancelledError

    def _suspended(self) -> None:
        """The loop has control, so the step that is awaited has suspended, if it has not ended meanwhile."""
        self._spawning = False
        if not self.domain.closing:
            self._spawn_pending()

    def _spawn_pending(self) -> None:
        pending, domain = self.pending, self.domain
        while pending:
            strand = Strand(self.run, domain, self.task, 0)
            strand.pending.append(pending.popleft())
            domain.spawn(strand, None if self.context is None else self.context.copy())

    def _move(self) -> None:
        strand = Strand(self.run, self.domain, self.task, 0)
        strand.ready, self.ready = self.ready, []
        strand.pending, self.pending = self.pending, deque()
        self.domain.spawn(strand, self.context)

    async def main(self) -> None:
        """The coroutine of a spawned strand."""
        try:
            await self.work()
        except CancelledError as exc:
            if not self.domain.closing:
                # Cancelled by someone who is not of this run, as at the end of a loop.
                self.domain.fail(exc, self.task)
        except BaseException as exc:  # nothing may be lost, not even a fault of the engine
            self.domain.fail(exc, self.task)
        finally:
            self.domain.leave(self)
