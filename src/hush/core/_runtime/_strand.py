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

from hush.core._plan._model import AWAITED, IN_THREAD, PINNED, WATCHED, StepPlan
from hush.core._runtime._context import unchanged
from hush.core._runtime._domain import Domain, is_ordinary
from hush.core._runtime._frame import Frame, Loop, Ready
from hush.core._runtime._loop import Rounds
from hush.core._runtime._outputs import as_mapping
from hush.core._runtime._run import Raised, Run
from hush.core._spec._model import TAGS

Pending: TypeAlias = "tuple[Frame, StepPlan, Any]"

NO_MODE = -1


class Strand:
    """One line of execution in ``domain``, in a task that is spawned for it.

    Attributes:
        first: The step that it was spawned to await, if it was.
        ready: Steps to run now, the next one last.
        pending: Steps to await, oldest first, each with its awaitable if the step has given one already.
        context: The context variables that every step of this strand starts from.
    """

    __slots__ = ("_spawning", "context", "domain", "first", "pending", "ready", "run", "task")

    task: Any  # an asyncio.Task, once it has begun

    # Those of a ``HostStrand``; here they take no place, and no time to set.
    spawned = True
    floor = 0
    more: Callable[[], bool] | None = None
    timed = False
    held_back = True  # by whoever listens to the run, while they cannot take more

    def __init__(self, run: Run, domain: Domain, context: Context | None, first: Pending | None = None) -> None:
        self.run = run
        self.domain = domain
        self.context = context
        self.first = first
        self.task = None
        self.ready: Ready = []
        self.pending: deque[Pending] | tuple[()] = ()
        self._spawning = False

    def later(self, frame: Frame, step: StepPlan, awaitable: Any) -> None:
        """Await ``step`` when nothing is ready any more."""
        pending = self.pending
        if isinstance(pending, tuple):
            pending = self.pending = deque()  # most strands that are spawned never need one
        pending.append((frame, step, awaitable))

    # --- inline -------------------------------------------------------------------------------------------
    def drive(self) -> bool:  # noqa: C901  # the hot loop: a call for each part would cost a tenth of a node
        """Run all that is ready and need not be awaited. ``False`` if the budget of the pass was spent before."""
        ready, run = self.ready, self.run
        budget, tracing, inline_only = run.budget, run.tracing, run.inline_only
        more, timed = self.more, self.timed
        slots: Any
        hidden, mode = False, NO_MODE  # whether the loop is, and what it is set for
        now_ns = deadline_ns = 0  # read when the first function is to be called
        frame: Frame | None = None
        then: int | None = None
        try:
            while True:
                if then is not None and frame is not None:  # a frame in which nothing unusual has happened
                    step = frame.plan.steps[then]
                    then = None
                else:
                    if tracing is not None:
                        mode = NO_MODE
                        if hidden:  # tracers see the loop
                            hidden = False
                            _set_running_loop(run.loop)
                        if tracing.held and ready:
                            return False
                    if not ready:
                        if more is None or self.pending:
                            return True
                        if hidden and timed:  # sources see the loop
                            hidden, mode = False, NO_MODE
                            _set_running_loop(run.loop)
                        if not more():
                            return True
                        if timed:
                            now_ns = 0  # getting it is not the next step's time
                    frame, step = ready.pop()
                    if frame.marks is not None and not self._may_run(frame, step):
                        if budget.spent():
                            return False
                        now_ns = 0  # nor is skipping it the next step's time
                        continue
                gate = step.gate
                if gate.mode != mode:
                    if gate.mode == AWAITED or (gate.mode == IN_THREAD and not inline_only):
                        if step.body is not None and step.begin is None:
                            self._enter(frame, step)
                        else:
                            self.later(frame, step, None)
                        continue
                    if tracing is not None:
                        tracing.node_started(frame, step)
                        now_ns = 0  # telling it is not the step's time
                    mode = gate.mode
                    if hidden is (mode == PINNED):
                        hidden = not hidden
                        _set_running_loop(None if hidden else run.loop)
                budget.at = step
                if not now_ns:
                    now_ns = perf_counter_ns()
                    if not budget.deadline_ns:
                        budget.open(now_ns)
                    deadline_ns = budget.deadline_ns
                before_ns = now_ns
                try:
                    slots = frame.slots
                    out = step.call(slots)
                    if type(out) is dict and tracing is None and TAGS not in out:
                        gives = step.gives
                        if frame.marks is not None or (gives is not None and not gives.plain):
                            frame.settle(step, out, ready)
                        else:
                            # ``Frame.settle``, spelt out: the call, and the way over ``ready``, are a fifth of a node.
                            try:
                                for key, slot in step.captures:
                                    slots[slot] = out[key]
                            except KeyError:
                                frame.settle(step, out, ready)
                            else:
                                if gives is not None:
                                    frame.write_plainly(step, gives, out)
                                for slot in step.frees:
                                    slots[slot] = None
                                for place, slot in step.shares:
                                    left = frame.countdowns[place] = frame.countdowns[place] - 1
                                    if not left:
                                        slots[slot] = None
                                then = step.then
                                if then is None:
                                    if step.after:
                                        frame.arrive(step, ready)
                                    else:
                                        frame.left -= 1
                    elif type(out) is not dict and hasattr(out, "__await__"):
                        self.later(frame, step, out)
                    elif tracing is None:
                        self._settle(frame, step, out)
                    else:
                        if hidden:
                            hidden, mode = False, NO_MODE
                            _set_running_loop(run.loop)
                        called_ns = perf_counter_ns()
                        self._settle(frame, step, out)
                        before_ns += perf_counter_ns() - called_ns  # what tracers take is not the step's time
                except BaseException as exc:  # whatever a user's function raises is the step's failure
                    if hidden:
                        hidden, mode = False, NO_MODE
                        _set_running_loop(run.loop)
                    self.failed(frame, step, exc)
                out = None  # what nobody reads dies now
                if not frame.left and frame.owner is not None:
                    called_ns = perf_counter_ns()
                    self._complete(frame)
                    before_ns += perf_counter_ns() - called_ns  # nor what the conditions of loops take
                now_ns = perf_counter_ns()
                if now_ns > deadline_ns or mode == WATCHED:
                    gate.ran_inline(now_ns - before_ns, step.path)
                    if now_ns > deadline_ns and (ready or then is not None or more is not None):
                        if then is not None:
                            ready.append((frame, frame.plan.steps[then]))
                        return False
        finally:
            budget.at = None
            if hidden:
                _set_running_loop(run.loop)
            frame = slots = out = None  # a failure that is kept keeps this frame of Python's alive, and must not these

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

    def fail_early(self, frame: Frame, step: StepPlan, exc: BaseException, attempt: int, bound: str) -> bool:
        """``step`` has failed, though its call has not ended: cancel the others now, unless the graph goes on."""
        if step.handled or self.domain.closing:
            return False
        self.run.locate(exc, frame.item, step, attempt, bound)
        self.run.note_round(exc, self.domain.round(frame))
        self._fail_domain(frame, step, exc)
        return True

    def _fail_domain(self, frame: Frame, step: StepPlan, exc: BaseException) -> None:
        if self.run.tracing is not None:
            self.run.tracing.node_failed(frame, step, exc, handled=False, ready=self.ready)
        self.domain.fail(exc, self.task)

    def stop(self) -> None:
        """Forget what was still to do: the domain is ending."""
        self.ready.clear()
        pending, self.pending = self.pending, ()
        for _, _, awaitable in pending if self.first is None else (self.first, *pending):
            if awaitable is not None:
                self.domain.drop(awaitable)
        self.first = None

    # --- awaiting -----------------------------------------------------------------------------------------
    async def work(self) -> None:  # noqa: C901  # as above: one coroutine for each task, not two
        """Drive and await until nothing is left for this task.

        What a spawned strand raises is told to its domain, what the host's raises to ``conduct``.
        """
        run, domain, ready = self.run, self.domain, self.ready
        budget, tracing, floor = run.budget, run.tracing, self.floor
        frame: Any = None
        if self.task is None:
            self.task = asyncio.current_task()  # an eager task begins before its maker can tell
        try:
            context = self.context
            if context is None:
                self.context = context = copy_context()
            variables = len(context)
            while True:
                if self.first is not None:
                    (frame, step, awaitable), self.first = self.first, None
                elif len(ready) == 1 and not self.pending and ready[0][1].awaited and ready[0][0].marks is None:
                    # One step that is to be awaited, and nothing else: no need to drive for that.
                    frame, step = ready.pop()
                    awaitable = None
                else:
                    while ready and not self.drive():
                        self._spawn_pending()
                        await budget.turn(served=True)
                        await self._room()
                    if not self.pending:
                        return
                    frame, step, awaitable = self.pending.popleft()
                if tracing is not None and tracing.held:
                    self.first = frame, step, awaitable
                    self._spawn_pending()
                    await self._room()
                    continue
                # Since it became ready, a soft predecessor that it reads may have failed.
                if frame.marks is not None and awaitable is None and not self._may_run(frame, step):
                    continue
                if self.pending and not self._spawning:
                    self._spawning = True
                    domain.loop.call_soon(self._suspended)
                try:
                    if awaitable is None:
                        if tracing is not None:
                            tracing.node_started(frame, step)
                        awaitable = step.call(frame.slots) if step.begin is None else step.begin(self, frame, step)
                    out = await awaitable
                    awaitable = None
                    if type(out) is Raised:
                        self.failed(frame, step, out.error, own=True)
                    elif domain.closing or self.task.cancelling() > floor:
                        self._check_cancelled()
                    elif type(out) is dict and TAGS not in out and tracing is None:
                        frame.settle(step, out, ready)
                    else:
                        self._settle(frame, step, out)
                except BaseException as exc:  # whatever a user's function raises is the step's failure
                    self.failed(frame, step, exc)
                awaitable = out = None  # what nobody reads dies now
                if not frame.left and frame.owner is not None:
                    self._complete(frame)
                if not ready and not self.pending:
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
            frame = tracing = None  # as in ``drive``
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

    def _spawn_pending(self) -> None:
        """Give the steps that are to be awaited tasks of their own."""
        pending, self.pending = self.pending, ()
        run, domain, context = self.run, self.domain, self.context
        for one in pending:
            domain.spawn(Strand(run, domain, context, one), one[1].path)

    def _move(self) -> None:
        ready, self.ready = self.ready, []
        self.hand_on(ready, self.pending)
        self.pending = ()

    def hand_on(self, ready: Ready, pending: deque[Pending] | tuple[()] = ()) -> None:
        """Let a strand of its own do these steps, from the context variables that this one starts from."""
        assert self.context is not None
        strand = Strand(self.run, self.domain, self.context)
        strand.ready, strand.pending = ready, pending
        # A copy: the task sets its variables in the very context that it is given.
        self.domain.spawn(strand, self.task.get_name(), self.context.copy())


class HostStrand(Strand):
    """The strand in the task of a domain's host.

    Attributes:
        floor: ``task.cancelling()`` when the domain began: more than that is a cancellation from outside.
        more: Asked for more work when nothing is ready; says whether it made some. Workers of maps bring the next item.
        timed: Whether getting more may take long.
    """

    __slots__ = ("floor", "more", "timed")

    spawned = False

    def __init__(self, run: Run, domain: Domain, host: asyncio.Task[Any], floor: int) -> None:
        super().__init__(run, domain, None)
        self.task = host
        self.floor = floor
        self.more = None
        self.timed = False
