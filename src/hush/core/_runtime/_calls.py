"""How a leaf's function is called where calling it is not enough: deadlines, worker threads.

A ``Begin`` is a coroutine function ``(strand, frame, step)`` that gives the step's output, raises what the step raised,
or gives ``Raised`` where raising would change it. A ``Try`` is the same for one ``Attempt`` of a leaf with policies.
"""

from __future__ import annotations

from asyncio import CancelledError
from asyncio.events import _set_running_loop
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from time import perf_counter_ns
from typing import Any, TypeAlias

from hush.core._logs import logger
from hush.core._plan._model import StepPlan
from hush.core._runtime._about import about
from hush.core._runtime._compound import timed_out
from hush.core._runtime._domain import EndTold
from hush.core._runtime._frame import Frame
from hush.core._runtime._gate import SLOW_NS, AutoGate, InlineGate, log_slow
from hush.core._runtime._run import Raised
from hush.core._runtime._strand import Strand
from hush.core._runtime._threads import Job, start_in_thread

log = logger("hush.executor")


class Attempt:
    """One try of a leaf that has policies.

    Attributes:
        number: From 1.
        last: Whether its failure is the leaf's failure: nothing tries again, or stands in for it.
        left_behind: Called with a call that is left in its thread; who holds a permit for it keeps that until it ends.
        abandoned: Whether a call was left behind: it may still be at work, so it is not tried again.
        bound: Of the last one: what keeps it from being tried again, in a few words.
        start_by_s: When it is too late for it to start, by the loop's time.
        request: What the leaf's function has made of its inputs, where a resource serves the leaf.
        earlier: How many attempts there were before the first of these, of other resources or other requests.
        corrections: How many requests there were before this one that asked for another.
        patience_s: The longest wait before another attempt; after that somebody else is asked.
        hold_s: For how many seconds nobody is to come back, as the answer says.
        give_up_s: After how many seconds of nothing but refusals, of all that share a limit, it is not tried again.
        hopeless: Whether there were so many.
        shut: Whether a limit lets single calls through only, after it failed: then trying again costs next to nothing.
    """

    __slots__ = (
        "abandoned",
        "bound",
        "corrections",
        "earlier",
        "give_up_s",
        "hold_s",
        "hopeless",
        "last",
        "left_behind",
        "number",
        "patience_s",
        "request",
        "shut",
        "start_by_s",
    )

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.bound = ""
        self.last = True
        self.left_behind: Callable[[Job], None] | None = None
        self.abandoned = False
        self.start_by_s: float | None = None
        self.request: Any = None
        self.earlier = 0
        self.corrections = 0
        self.patience_s: float | None = None
        self.hold_s: float | None = None
        self.shut = False
        self.give_up_s: float | None = None
        self.hopeless = False


class TooLate(Exception):
    """An attempt was not admitted before its ``start_by_s``. Never leaves the runtime."""


Begin: TypeAlias = Callable[[Strand, Frame, StepPlan], Awaitable[Any]]
Try: TypeAlias = Callable[[Strand, Frame, StepPlan, Attempt], Awaitable[Any]]


async def awaited(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt | None = None) -> Any:
    """Await an ``async def``, or whatever the function gives, for at most ``timeout_s`` if there is one."""
    try:
        out = on_the_loop(strand, frame, step, attempt)
    finally:
        del frame  # a failure that is kept remembers this call
    return await awaited_if_need_be(strand, step, out)


def on_the_loop(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt | None = None) -> Any:
    """Call the function here and now, where the watchdog sees it."""
    run, budget = strand.run, strand.run.budget
    if not budget.deadline_ns:
        budget.open(perf_counter_ns())
    budget.run, budget.frame, budget.at = run, frame, step
    try:
        if run.tracing is None or not run.tracing.sees_calls:
            return step.call(frame.slots)
        return run.tracing.call(frame, step, 1 if attempt is None else attempt.number)
    finally:
        budget.at = budget.frame = budget.run = None


async def _with_deadline(strand: Strand, step: StepPlan, awaitable: Awaitable[Any]) -> Any:
    # asyncio.timeout converts a cancellation only if nobody else had cancelled the task before, ever; a task may
    # well have been cancelled and gone on. So this counts from what it finds, as Domain does.
    task, timeout_s = strand.task, step.timeout_s
    assert timeout_s is not None
    floor = task.cancelling()
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    timer = strand.run.loop.call_later(timeout_s, expire)
    try:
        return await awaitable
    except CancelledError:
        if not expired or task.cancelling() - 1 > floor:
            raise
    finally:
        timer.cancel()
        if expired:
            task.uncancel()
    raise timed_out(
        step
    )  # out of the ``except``: the cancellation has all frames of the call, and with it their values


async def in_thread_once(strand: Strand, frame: Frame, step: StepPlan) -> Any:
    """Call a ``def`` under ``"auto"`` in a thread, and let its gate learn how long it took."""
    gate = step.gate
    assert isinstance(gate, AutoGate)
    return await in_thread(strand, frame, step, None, gate)


def inline_or_in_thread(gate: AutoGate | InlineGate) -> Try:
    """A ``Try`` that calls a ``def`` under ``"auto"`` where its gate says. On the loop it does not see the loop."""

    async def call(strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt) -> Any:
        if not gate.inline and not strand.run.inline_only:
            assert isinstance(gate, AutoGate)
            return await in_thread(strand, frame, step, attempt, gate)
        began_ns = perf_counter_ns()
        _set_running_loop(None)
        try:
            out = on_the_loop(strand, frame, step, attempt)
        finally:
            _set_running_loop(strand.run.loop)
            if gate.ran_inline(took_ns := perf_counter_ns() - began_ns):
                log_slow(step.path, took_ns, about(strand.run.id, step.path, frame.item))
            del frame  # as in ``awaited``
        return await awaited_if_need_be(strand, step, out)

    return call


async def in_thread(
    strand: Strand, frame: Frame, step: StepPlan, attempt: Attempt | None = None, gate: AutoGate | None = None
) -> Any:
    """Call a ``def`` in a worker thread, with the context of the run; an awaitable that it returns is awaited here.

    When the task is cancelled or the deadline passes, the call gets ``grace_s`` to end. One that does not end is left
    behind and said so. One that ends with an error while it is being cancelled is not lost.
    """
    run = strand.run
    assert step.bind is not None
    # No name for its tracing: a failure that is kept may remember this call, and with it whoever listened.
    if run.tracing is None or not run.tracing.sees_calls:
        call = step.bind(frame.slots)
    else:
        call = run.tracing.prepared(frame, step, 1 if attempt is None else attempt.number)
    if run.inline_only:
        return await awaited_if_need_be(strand, step, copy_context().run(call))
    job = start_in_thread(run.loop, partial(copy_context().run, call), step.timeout_s)
    del call
    told = None if strand.spawned else strand.domain.host_cancelled
    try:
        in_time = await job.wait()
    except CancelledError:
        if job.withdraw():
            raise
        await _let_end(strand, step, frame.item, job, told, attempt)
        if job.error is not None:
            return Raised(job.error)
        raise
    if not in_time:
        late = timed_out(step)
        if attempt is None:
            attempt = Attempt()
        early = attempt.last and strand.fail_early(frame, step, late, attempt.number, attempt.bound)
        await _let_end(strand, step, frame.item, job, told, attempt)
        late.__context__ = job.error
        if early:
            raise EndTold  # its domain has been told
        return Raised(late)
    if gate is not None:
        gate.ran_in_thread(SLOW_NS if job.waited else job.took_ns)
    returned = job.error is not None or not hasattr(job.result, "__await__")
    if returned and run.tracing is not None and run.tracing.sees_calls:
        run.tracing.returned(frame, step, job.took_ns)
    if job.error is not None:
        return Raised(job.error)
    return await awaited_if_need_be(strand, step, job.take())


async def awaited_if_need_be(strand: Strand, step: StepPlan, out: Any) -> Any:
    """What a ``def`` returned, awaited if it is an awaitable."""
    if type(out) is dict or not hasattr(out, "__await__"):
        return out
    return await (out if step.timeout_s is None else _with_deadline(strand, step, out))


async def _let_end(
    strand: Strand,
    step: StepPlan,
    item: tuple[int, ...],
    job: Job,
    told: Callable[[], None] | None,
    attempt: Attempt | None,
) -> None:
    """Give a call that nobody wants any more its grace; say so if it does not end, and drop what it returns."""
    grace_s = strand.run.grace_s
    if await job.linger(grace_s, told):
        strand.domain.drop(job.take())
        return
    job.late = strand.domain.drop
    if attempt is not None:
        attempt.abandoned = True
        if attempt.left_behind is not None:
            attempt.left_behind(job)
    log.warning(
        "%s did not end within %g s of its cancellation and is left behind in its thread (%s)",
        step.path,
        grace_s,
        step.where,
        extra=about(strand.run.id, step.path, item),
    )
