"""``Driving``: the half of a strand that never awaits: it runs what is ready and inline, and puts the rest aside."""

from __future__ import annotations

from asyncio.events import _set_running_loop
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, TypeAlias

from hush.core._plan._model import AWAITED, IN_THREAD, INLINE, PINNED, WATCHED, StepPlan
from hush.core._runtime._about import about
from hush.core._runtime._frame import Frame
from hush.core._runtime._gate import log_slow
from hush.core._runtime._outputs import plain_keys
from hush.core._runtime._pass import CLOSELY_NS
from hush.core._runtime._settling import Settling
from hush.core._spec._model import TAGS

if TYPE_CHECKING:  # imported when a run first has a tracer
    from hush.core._runtime._quick import Quick

Pending: TypeAlias = "tuple[Frame, StepPlan, Any]"

NO_MODE = -1
"""Nothing is known of the next step, and the gate of the last one is told how long it took, as if ``WATCHED``."""
SETTLED = 9
"""Nothing is known of the next step, and the gate of the last one need not be told, unless it was slow."""


class Driving(Settling):
    """What runs the steps of a strand that need not be awaited.

    Attributes:
        pending: Steps to await, oldest first, each with its awaitable if the step has given one already.
        more: Asked for more work when nothing is ready; says whether it made some. Workers of maps bring the next item.
        timed: Whether getting more may take long.
        quick: What tells of its calls in place of ``Tracing.quick``.
    """

    __slots__ = ("pending",)

    pending: deque[Pending] | tuple[()]
    # Those of a ``HostStrand``; elsewhere they take no place, and no time to set.
    more: Callable[[], bool] | None = None
    timed = False
    quick: Quick | None = None

    def later(self, frame: Frame, step: StepPlan, awaitable: Any) -> None:
        """Await ``step`` when nothing is ready any more."""
        pending = self.pending
        if isinstance(pending, tuple):
            pending = self.pending = deque()  # most strands that are spawned never need one
        pending.append((frame, step, awaitable))

    def drive(self) -> bool:  # noqa: C901  # the hot loop: a call for each part would cost a tenth of a node
        """Run all that is ready and need not be awaited. ``False`` if the budget of the pass was spent before."""
        ready, run = self.ready, self.run
        budget, tracing, inline_only = run.budget, run.tracing, run.inline_only
        more, timed = self.more, self.timed
        call = None if tracing is None or not tracing.sees_calls else tracing.call
        terse = None if tracing is None else self.quick or tracing.quick
        each = tracing if terse is None else None  # tells of a call as it begins, and as it ends
        plain = each is not None and each.plain
        settles = tracing is None or plain  # whether it is done here
        direct = terse is not None and terse.direct
        numbers: Any = None if terse is None else terse.numbers
        slots: Any
        begun: Any = None  # for one call after the other
        hidden, mode = False, NO_MODE  # whether the loop is, and what it is set for
        now_ns = deadline_ns = close_ns = 0  # read when the first function is to be called
        told_ns = 0  # when the call ended whose telling followed
        before = ended_ns = 0  # how much was ready, and when a call ended of which was told in no time worth a clock
        begun_at_once = False  # whether the next step has been told of already
        frame: Frame | None = None
        then: int | None = None
        budget.run = run
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
                    budget.frame = frame
                    if plain:
                        before = len(ready)
                    if frame.marks is not None and not self.may_run(frame, step):
                        if budget.spent():
                            return False
                        now_ns = 0  # nor is skipping it the next step's time
                        continue
                gate = step.gate
                if begun_at_once:
                    begun_at_once = False
                elif gate.mode != mode:
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
                        out = step.call(slots) if call is None else call(frame, step, hidden=hidden)
                    if type(out) is dict and settles and TAGS not in out:
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
                                if gives is None:
                                    pass
                                elif gives.stars and not gives.writes and out.keys() <= plain_keys:
                                    slots[0].update(out)
                                else:
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
                        if each is not None:
                            ended_ns = perf_counter_ns()
                            at_once = mode if mode >= INLINE and ended_ns <= close_ns else NO_MODE
                            begun_at_once = each.ran_plainly(frame, step, then, ended_ns, at_once)
                            if not begun_at_once:
                                mode = NO_MODE if mode == WATCHED else SETTLED
                                if then is None and len(ready) > before:
                                    each.became_ready(ready, before, ended_ns)
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
                    ended_ns = 0  # nor is it the next step's
                if ended_ns:
                    now_ns, ended_ns = ended_ns, 0
                else:
                    now_ns = perf_counter_ns()
                if now_ns > close_ns or mode <= WATCHED:  # or not known any more
                    took_ns = (told_ns or now_ns) - before_ns  # what tracers take is not its time
                    if gate.ran_inline(took_ns):
                        log_slow(step.path, took_ns, about(run.id, step.path, frame.item))
                    if now_ns > deadline_ns and (ready or then is not None or more is not None):
                        if then is not None:
                            step = frame.plan.steps[then]
                            ready.append((frame, step))
                            if terse is not None:
                                terse.note_ready(frame, step, told_ns)
                        return False
        finally:
            budget.at = budget.frame = budget.run = None
            if hidden:
                _set_running_loop(run.loop)
            if terse is not None and begun is not None:
                terse.give_back(begun)
            # A failure that is kept keeps this frame of Python's alive, and must not these.
            frame = slots = out = begun = tracing = terse = each = call = None
