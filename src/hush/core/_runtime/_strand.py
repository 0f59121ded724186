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
from collections.abc import Callable
from contextvars import Context, copy_context
from time import perf_counter_ns
from typing import Any, TypeAlias

from hush.core._plan._model import StepPlan
from hush.core._runtime._context import unchanged
from hush.core._runtime._domain import Domain, is_ordinary
from hush.core._runtime._frame import Frame, Loop, Ready
from hush.core._runtime._loop import Rounds
from hush.core._runtime._outputs import as_mapping
from hush.core._runtime._run import Raised, Run
from hush.core._spec._model import TAGS

Pending: TypeAlias = "tuple[Frame, StepPlan, Any]"


class Strand:
    """One line of execution in ``domain``, in the task of its ``host`` or in one that is spawned for it.

    Attributes:
        ready: Steps to run now, the next one last.
        pending: Steps to await, oldest first, each with its awaitable if the step has given one already.
        context: The context variables that every step of this strand starts from.
        more: Asked for more work when nothing is ready; says whether it made some. Workers of maps bring the next item.
        timed: Whether getting more may take long.
    """

    __slots__ = (
        "_spawning",
        "context",
        "domain",
        "floor",
        "more",
        "pending",
        "ready",
        "run",
        "spawned",
        "task",
        "timed",
    )

    task: Any  # an asyncio.Task, once it has begun

    def __init__(self, run: Run, domain: Domain, host: asyncio.Task[Any] | None = None, floor: int = 0) -> None:
        self.run = run
        self.domain = domain
        self.spawned = host is None
        self.task = host
        self.floor = floor
        self.ready: Ready = []
        self.pending: deque[Pending] = deque()
        self.context: Context | None = None
        self.more: Callable[[], bool] | None = None
        self.timed = False
        self._spawning = False

    # --- inline -------------------------------------------------------------------------------------------
    def drive(self) -> bool:  # noqa: C901  # the hot loop: a call for each part would cost a tenth of a node
        """Run all that is ready and need not be awaited. ``False`` if the budget of the pass was spent before."""
        ready, run = self.ready, self.run
        budget, tracing, inline_only = run.budget, run.tracing, run.inline_only
        hidden = False
        now_ns = deadline_ns = 0  # read when the first function is to be called
        try:
            while True:
                if tracing is not None:
                    if hidden:  # tracers see the loop
                        hidden = False
                        _set_running_loop(run.loop)
                    if tracing.held and ready:
                        return False
                if not ready:
                    if self.more is None:
                        return True
                    if hidden and self.timed:  # sources see the loop
                        hidden = False
                        _set_running_loop(run.loop)
                    if not self.more():
                        return True
                    if self.timed:
                        now_ns = 0  # getting it is not the next step's time
                frame, step = ready.pop()
                if frame.marks is not None and not self._may_run(frame, step):
                    continue
                gate = step.gate
                if gate is None or not (gate.inline or inline_only):
                    if step.body is not None and step.begin is None:
                        self._enter(frame, step)
                    else:
                        self.pending.append((frame, step, None))
                    continue
                if tracing is not None:
                    tracing.node_started(frame, step)
                if gate.hides_loop is not hidden:
                    hidden = not hidden
                    _set_running_loop(None if hidden else run.loop)
                budget.at = step
                if not now_ns:
                    now_ns = perf_counter_ns()
                    if not budget.deadline_ns:
                        budget.open(now_ns)
                    deadline_ns = budget.deadline_ns
                try:
                    out = step.call(frame.slots)
                    if type(out) is not dict and hasattr(out, "__await__"):
                        self.pending.append((frame, step, out))
                    elif type(out) is dict and tracing is None and TAGS not in out:
                        frame.settle(step, out, ready)
                    else:
                        if tracing is not None and hidden:
                            hidden = False
                            _set_running_loop(run.loop)
                        self._settle(frame, step, out)
                except BaseException as exc:  # whatever a user's function raises is the step's failure
                    if hidden:
                        hidden = False
                        _set_running_loop(run.loop)
                    self.failed(frame, step, exc)
                if not frame.left:
                    self._complete(frame)
                out = None  # what nobody reads dies now
                before_ns, now_ns = now_ns, perf_counter_ns()
                if now_ns - before_ns > gate.limit_ns:
                    gate.ran_inline(now_ns - before_ns, step.path)
                if now_ns > deadline_ns and (ready or self.more is not None):
                    return False
        finally:
            budget.at = None
            if hidden:
                _set_running_loop(run.loop)

    def _may_run(self, frame: Frame, step: StepPlan) -> bool:
        """Whether a ready step is to be called; if not, it is settled here: skipped, or failed for want of a key."""
        if frame.runs(step):
            lacking = frame.lacking(step)
            if lacking is None:
                return True
            if self.run.tracing is not None:
                self.run.tracing.node_started(frame, step)
            self.failed(frame, step, lacking)
        elif self.run.tracing is None:
            frame.skip(step, self.ready)
        else:
            self.run.tracing.node_skipped(frame, step, self.ready)
        self._complete(frame)
        return False

    def _enter(self, frame: Frame, step: StepPlan) -> None:
        """Go into a nested graph that is no domain of its own: its steps run in this strand."""
        assert step.body is not None
        tracing = self.run.tracing
        if tracing is not None:
            tracing.node_started(frame, step)
        try:
            if step.loop is None:
                slots = step.call(frame.slots)
                frame.entered(step)
                self.begin(Frame(step.body, slots, (frame, step), frame.item))
                return
            loop = Rounds(frame, step, hosted=False, measured=step.measured or self.run.keeps)
            inner = loop.first()
            if inner is not None:
                self.begin(inner)
                return
            self._settle(frame, step, loop.outputs())
        except BaseException as exc:
            self.failed(frame, step, exc)
        self._complete(frame)

    def begin(self, frame: Frame) -> None:
        """Make the first steps of ``frame`` ready."""
        tracing = self.run.tracing
        if tracing is None:
            frame.start(self.ready)
        else:
            tracing.frame_started(frame, self.ready)

    def _complete(self, frame: Frame) -> None:
        """If ``frame`` has settled all its steps, settle the step that it runs for, and so on outwards."""
        while not frame.left and frame.owner is not None:
            owner = frame.owner
            if isinstance(owner, tuple):
                outer, step = owner
                try:
                    self._settle(outer, step, frame.outputs())
                except BaseException as exc:
                    self.failed(outer, step, exc)
                frame = outer
            elif self._next_round(owner, frame):
                frame = owner.frame
            else:
                return

    def _next_round(self, loop: Loop, last: Frame) -> bool:
        """Go on with a loop; ``True`` if it has ended and the step that it runs for is settled."""
        try:
            if self.run.tracing is not None:
                self.run.tracing.round_finished(loop.step, loop.frame, loop.done)
            inner = loop.next(last)
            if inner is not None:
                self.begin(inner)
            elif not loop.hosted:
                self._settle(loop.frame, loop.step, loop.outputs())
                return True
        except BaseException as exc:
            if not loop.hosted:
                self.failed(loop.frame, loop.step, exc)
                return True
            self.run.locate(exc, loop.frame.item, loop.step)
            self.domain.fail(exc, self.task)
            self.stop()
        return False

    def _settle(self, frame: Frame, step: StepPlan, out: Any) -> None:
        if type(out) is not dict:
            out = as_mapping(step, out)
        if TAGS in out:
            self.run.tag(step, frame.item, out[TAGS])
        if self.run.tracing is None:
            frame.settle(step, out, self.ready)
        else:
            self.run.tracing.node_settled(frame, step, out, self.ready)

    def failed(self, frame: Frame, step: StepPlan, exc: BaseException, *, own: bool = False) -> None:
        """``step`` raised: go on without it if the graph does, else end the domain.

        Raises a cancellation again, unless it is ``own``: known to be what the step itself failed with.
        """
        domain = self.domain
        cancelled = domain.closing or self.task.cancelling() > self.floor
        if isinstance(exc, CancelledError) and cancelled and not own:
            if domain.closing:
                self.stop()
                return
            raise exc
        run = self.run
        run.locate(exc, frame.item, step)
        run.note_round(exc, domain.round(frame))
        if step.handled and is_ordinary(exc):
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
            return
        self._fail_domain(frame, step, exc)
        self.stop()

    def fail_early(self, frame: Frame, step: StepPlan, exc: BaseException) -> bool:
        """``step`` has failed, though its call has not ended: cancel the others now, unless the graph goes on."""
        if step.handled or self.domain.closing:
            return False
        self.run.locate(exc, frame.item, step)
        self._fail_domain(frame, step, exc)
        return True

    def _fail_domain(self, frame: Frame, step: StepPlan, exc: BaseException) -> None:
        if self.run.tracing is not None:
            self.run.tracing.node_failed(frame, step, exc, handled=False, ready=self.ready)
        self.domain.fail(exc, self.task)

    def stop(self) -> None:
        """Forget what was still to do: the domain is ending."""
        self.ready.clear()
        while self.pending:
            _, _, awaitable = self.pending.popleft()
            if awaitable is not None:
                self.domain.drop(awaitable)

    # --- awaiting -----------------------------------------------------------------------------------------
    async def work(self) -> None:  # noqa: C901  # as above: one coroutine for each task, not two
        """Drive and await until nothing is left for this task.

        What a spawned strand raises is told to its domain, what the host's raises to ``conduct``.
        """
        run, domain, pending, budget = self.run, self.domain, self.pending, self.run.budget
        if self.task is None:
            self.task = asyncio.current_task()  # an eager task begins before its maker can tell
        try:
            self.context = context = copy_context()
            variables = len(context)
            ready = self.ready
            while True:
                # One step that is to be awaited, and nothing else: no need to drive for that.
                alone = len(ready) == 1 and not pending and ready[0][1].awaited and ready[0][0].marks is None
                while ready and not alone and not self.drive():
                    self._spawn_pending()
                    await budget.turn(served=True)
                    await self._room()
                if not pending and not alone:
                    return
                if run.tracing is not None and run.tracing.held:
                    self._spawn_pending(1)
                    await self._room()
                    continue
                awaitable: Any
                if alone:
                    frame, step = ready.pop()
                    awaitable = None
                else:
                    frame, step, awaitable = pending.popleft()
                if pending and not self._spawning:
                    self._spawning = True
                    domain.loop.call_soon(self._suspended)
                try:
                    if awaitable is None:
                        if run.tracing is not None:
                            run.tracing.node_started(frame, step)
                        awaitable = step.call(frame.slots) if step.begin is None else step.begin(self, frame, step)
                    out = await awaitable
                    awaitable = None
                    if type(out) is Raised:
                        self.failed(frame, step, out.error, own=True)
                    elif domain.closing or self.task.cancelling() > self.floor:
                        self._check_cancelled()
                    elif type(out) is dict and TAGS not in out and run.tracing is None:
                        frame.settle(step, out, ready)
                    else:
                        self._settle(frame, step, out)
                except BaseException as exc:  # whatever a user's function raises is the step's failure
                    self.failed(frame, step, exc)
                awaitable = out = None  # what nobody reads dies now
                if not frame.left:
                    self._complete(frame)
                if not ready and not pending:
                    return
                now = copy_context()
                if len(now) != variables or (variables and not unchanged(context, now)):
                    # The step set a context variable in this task: what follows goes on in one that has not seen it.
                    self._move()
                    return
                now_ns = perf_counter_ns()
                if now_ns > budget.limit_ns and budget.must_wait(now_ns):
                    self._spawn_pending()
                    await budget.turn(served=False)
                    self._check_cancelled()
        except BaseException as exc:
            self.stop()  # a worker of a map uses its strand again
            if not self.spawned:
                raise
            # A cancellation of this task alone comes from someone who is not of this run, as at the end of a loop.
            # Anything else would be a fault of the engine, and not even that may be lost.
            if not (isinstance(exc, CancelledError) and domain.closing):
                domain.fail(exc, self.task)
        finally:
            if self.spawned:
                domain.leave(self)

    async def _room(self) -> None:
        """Wait until whoever listens to the run can take more."""
        tracing = self.run.tracing
        if tracing is not None and tracing.held:
            await tracing.room()
        self._check_cancelled()

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

    def _spawn_pending(self, left: int = 0) -> None:
        """Give steps that are to be awaited tasks of their own, all but ``left``."""
        pending, domain = self.pending, self.domain
        while len(pending) > left:
            strand = Strand(self.run, domain)
            one = pending.pop() if left else pending.popleft()
            strand.pending.append(one)
            domain.spawn(strand, one[1].path)

    def _move(self) -> None:
        strand = Strand(self.run, self.domain)
        strand.ready, self.ready = self.ready, []
        strand.pending, self.pending = self.pending, deque()
        self.domain.spawn(strand, self.task.get_name(), self.context)
