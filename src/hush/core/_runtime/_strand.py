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
from typing import TYPE_CHECKING, Any, TypeAlias

from hush.core._plan._model import AWAITED, IN_THREAD, PINNED, WATCHED, StepPlan
from hush.core._runtime._context import unchanged
from hush.core._runtime._domain import Domain
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._pass import CLOSELY_NS
from hush.core._runtime._run import Raised, Run
from hush.core._runtime._settling import Settling
from hush.core._spec._model import TAGS

if TYPE_CHECKING:  # imported when a run first has a tracer
    from hush.core._runtime._quick import Quick

Pending: TypeAlias = "tuple[Frame, StepPlan, Any]"

NO_MODE = -1
SETTLED = 9
"""No mode either, after a call of which its gate need not be told, unless it was slow."""


class Strand(Settling):
    """One line of execution in ``domain``, in a task that is spawned for it.

    Attributes:
        first: The step that it was spawned to await, if it was.
        pending: Steps to await, oldest first, each with its awaitable if the step has given one already.
        context: The context variables that every step of this strand starts from.
    """

    __slots__ = ("_spawning", "context", "first", "pending")

    # Those of a ``HostStrand``; here they take no place, and no time to set.
    spawned = True
    more: Callable[[], bool] | None = None
    next: Callable[[], bool] | None = None
    timed = False
    held_back = True  # by whoever listens to the run, while they cannot take more
    quick: Quick | None = None

    def __init__(self, run: Run, domain: Domain, context: Context | None, first: Pending | None = None) -> None:
        self.run = run
        self.domain = domain
        self.context = context
        self.first = first
        self.task = None
        self.ready = []
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
        call = None if tracing is None or not tracing.sees_calls else tracing.call
        terse = None if tracing is None else self.quick or tracing.quick
        each = tracing if terse is None else None  # tells of a call as it begins, and as it ends
        direct = terse is not None and terse.direct
        numbers: Any = None if terse is None else terse.numbers
        slots: Any
        begun: Any = None  # for one call after the other
        hidden, mode = False, NO_MODE  # whether the loop is, and what it is set for
        now_ns = deadline_ns = close_ns = 0  # read when the first function is to be called
        told_ns = 0  # when the call ended whose telling followed
        frame: Frame | None = None
        then: int | None = None
        try:
            while True:
                if then is not None and frame is not None:  # a frame in which nothing unusual has happened
                    step = frame.plan.steps[then]
                    then = None
                else:
                    told_ns = 0
                    if each is not None:
                        mode = NO_MODE
                        if hidden and not each.builtin:
                            hidden = False
                            _set_running_loop(run.loop)
                        if each.held and ready:
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
                    if frame.marks is not None and not self.may_run(frame, step):
                        if budget.spent():
                            return False
                        now_ns = 0  # nor is skipping it the next step's time
                        continue
                gate = step.gate
                if gate.mode != mode:
                    if gate.mode == AWAITED or (gate.mode == IN_THREAD and not inline_only):
                        if terse is not None and told_ns:
                            terse.note_ready(frame, step, told_ns)
                        if step.body is not None and step.begin is None:
                            self.enter(frame, step)
                        else:
                            self.later(frame, step, None)
                        if tracing is not None:
                            now_ns = 0  # what is entered begins now, and what it begins with not before
                        continue
                    if each is not None:
                        each.node_started(frame, step, now_ns)
                        told_ns = 0
                        if not each.builtin:
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
                    close_ns = deadline_ns - CLOSELY_NS
                before_ns = now_ns
                try:
                    slots = frame.slots
                    if terse is not None:
                        begun = begun or terse.spare()
                        begun.frame = frame  # ``Begun.begin``, spelt out
                        begun.step = step
                        begun.item = frame.item
                        begun.number = next(numbers)
                        begun.ready_ns = told_ns  # 0 where a call is all there is to an item
                        begun.started_ns = now_ns
                        told_ns = 0
                        reading = step.reading
                        plainly = direct and reading is not None and reading.slots is not None
                        out = step.call(slots) if plainly else terse.call(begun)
                    else:
                        out = step.call(slots) if call is None else call(frame, step)
                    if type(out) is dict and tracing is None and TAGS not in out:
                        gives = step.gives
                        if frame.marks is not None or (gives is not None and not gives.plain):
                            frame.settle(step, out, ready)
                        else:
                            # ``Frame.settle_then``, spelt out, since the call is a tenth of a node.
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
                    elif terse is not None and type(out) is dict and TAGS not in out:
                        told_ns = perf_counter_ns()
                        then = terse.ended(begun, out, ready, told_ns)
                    elif each is not None and type(out) is dict and TAGS not in out:
                        mode = NO_MODE if mode == WATCHED else SETTLED
                        if hidden and not each.builtin:
                            hidden = False
                            _set_running_loop(run.loop)
                        told_ns = perf_counter_ns()
                        then = each.node_ran(frame, step, out, ready, told_ns)
                    elif type(out) is not dict and hasattr(out, "__await__"):
                        if terse is not None:
                            terse.tell_begun(begun)
                        self.later(frame, step, out)
                    elif tracing is None:
                        self.settle(frame, step, out)
                    else:
                        if hidden:
                            hidden, mode = False, NO_MODE
                            _set_running_loop(run.loop)
                        told_ns = perf_counter_ns()
                        if terse is not None:
                            terse.tell_begun(begun)
                        self.settle(frame, step, out, told_ns)
                except BaseException as exc:  # whatever a user's function raises is the step's failure
                    if hidden:
                        hidden, mode = False, NO_MODE
                        _set_running_loop(run.loop)
                    if terse is not None:
                        terse.tell_begun(begun)
                    self.failed(frame, step, exc)
                out = None  # what nobody reads dies now
                if not frame.left and frame.owner is not None:
                    called_ns = perf_counter_ns()
                    self.complete(frame)
                    before_ns += perf_counter_ns() - called_ns  # nor what the conditions of loops take
                now_ns = perf_counter_ns()
                if now_ns > close_ns or mode <= WATCHED:  # or not known any more
                    gate.ran_inline((told_ns or now_ns) - before_ns, step.path)  # what tracers take is not its time
                    if now_ns > deadline_ns and (ready or then is not None or more is not None):
                        if then is not None:
                            step = frame.plan.steps[then]
                            ready.append((frame, step))
                            if terse is not None:
                                terse.note_ready(frame, step, told_ns)
                        return False
        finally:
            budget.at = None
            if hidden:
                _set_running_loop(run.loop)
            if terse is not None and begun is not None:
                terse.give_back(begun)
            frame = slots = out = begun = (
                None  # a failure that is kept keeps this frame of Python's alive, and must not these
            )

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
        terse = None if tracing is None else self.quick or tracing.quick
        frame: Any = None
        spare: Any = None  # for one call after the other
        begun: Any = None
        at_hand: Any
        following: Any
        now: Any
        told_ns = 0
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
                if frame.marks is not None and awaitable is None and not self.may_run(frame, step):
                    continue
                if self.pending and not self._spawning:
                    self._spawning = True
                    domain.loop.call_soon(self._suspended)
                try:
                    if awaitable is None:
                        if terse is not None and step.begin is None:
                            if spare is None:
                                spare = terse.spare()
                            begun = spare
                            begun.frame = frame  # ``Begun.begin``, spelt out
                            begun.step = step
                            begun.item = frame.item
                            begun.number = next(terse.numbers)
                            begun.ready_ns = 0
                            begun.started_ns = perf_counter_ns()
                            reading = step.reading
                            plainly = terse.direct and reading is not None and reading.slots is not None
                            awaitable = step.call(frame.slots) if plainly else terse.call(begun)
                        else:
                            if tracing is not None:
                                tracing.node_started(frame, step)
                            if step.begin is not None:
                                awaitable = step.begin(self, frame, step)
                            elif tracing is None or not tracing.sees_calls:
                                awaitable = step.call(frame.slots)
                            else:
                                awaitable = tracing.call(frame, step)
                    out = await awaitable
                    awaitable = None
                    if type(out) is Raised:
                        self.failed(frame, step, out.error, own=True)
                    elif domain.closing or self.task.cancelling() > floor:
                        if terse is not None and begun is not None:
                            terse.tell_begun(begun)
                        self._check_cancelled()
                    elif type(out) is dict and TAGS not in out and (tracing is None or begun is not None):
                        if terse is None:
                            frame.settle(step, out, ready)
                        else:
                            told_ns = perf_counter_ns()
                            then = terse.ended(begun, out, ready, told_ns)
                            if then is not None:
                                step = frame.plan.steps[then]
                                ready.append((frame, step))
                                terse.note_ready(frame, step, told_ns)
                    else:
                        if terse is not None and begun is not None:
                            terse.tell_begun(begun)
                        self.settle(frame, step, out)
                except BaseException as exc:  # whatever a user's function raises is the step's failure
                    if terse is not None and begun is not None:
                        terse.tell_begun(begun)
                    self.failed(frame, step, exc)
                awaitable = out = begun = None  # what nobody reads dies now
                if not frame.left and frame.owner is not None:
                    self.complete(frame)
                at_hand, following = ready or self.pending, self.next
                if not at_hand and (following is None or domain.members):
                    return
                now = copy_context()
                if len(now) != variables or (variables and not unchanged(context, now)):
                    # The step set a context variable in this task: what follows goes on in one that has not seen it.
                    if at_hand:
                        self._move()
                    return
                now_ns, told_ns = told_ns or perf_counter_ns(), 0
                if not at_hand:
                    spent = now_ns > budget.limit_ns and budget.must_wait(now_ns)
                    if spent or following is None or not following():
                        return
                    continue
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
            if terse is not None and spare is not None:
                terse.give_back(spare)
            frame = tracing = terse = begun = spare = at_hand = following = now = None  # as in ``drive``
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
        more: Asked for more work when nothing is ready; says whether it made some. Workers of maps bring the next item.
        next: The same, when nothing is to be awaited either.
        timed: Whether getting more may take long.
        quick: What tells of its calls in place of ``Tracing.quick``.
    """

    __slots__ = ("floor", "more", "next", "quick", "timed")

    spawned = False

    def __init__(self, run: Run, domain: Domain, host: asyncio.Task[Any], floor: int) -> None:
        super().__init__(run, domain, None)
        self.task = host
        self.floor = floor
        self.more = self.next = None
        self.timed = False
        self.quick = None
