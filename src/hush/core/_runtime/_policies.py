"""How a step is started where calling it is not enough: threads, deadlines, graphs that are domains of their own.

``policies`` is what the compiler asks for each step. A ``begin`` here is a coroutine function ``(strand, frame, step)``
that gives the step's output, raises what the step raised, or gives ``Raised`` where raising would change it.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeAlias

from hush.core._plan._model import Gate, StepPlan
from hush.core._runtime._compound import run_hosted, timed_out
from hush.core._runtime._frame import Frame
from hush.core._runtime._gate import PINNED_GATE, SLOW_NS, AutoGate, gate_of
from hush.core._runtime._run import Raised
from hush.core._runtime._strand import Strand
from hush.core._runtime._threads import Job, start_in_thread
from hush.core._runtime._worker import run_map
from hush.core._spec._model import BranchSpec, CallSpec, MapSpec, Step

log = logging.getLogger("hush.executor")

Begin: TypeAlias = Callable[[Strand, Frame, StepPlan], Awaitable[Any]]


def policies(spec: Step, path: str, *, handled: bool) -> tuple[Gate | None, Begin | None]:
    """The gate and the start of one step."""
    if isinstance(spec, MapSpec):
        return None, run_map
    if isinstance(spec, BranchSpec):
        return PINNED_GATE, None
    if not isinstance(spec, CallSpec):
        return None, run_hosted if handled or spec.timeout_s is not None else None
    if spec.signature.awaited:
        return None, None if spec.timeout_s is None else until_deadline
    if spec.executor == "inline":
        return PINNED_GATE, None
    if spec.executor == "thread" or spec.timeout_s is not None:
        return None, in_thread
    assert spec.fn is not None
    return gate_of(spec.fn), in_thread_once


async def until_deadline(strand: Strand, frame: Frame, step: StepPlan) -> Any:
    """Await an ``async def`` for at most ``timeout_s``."""
    return await _with_deadline(strand, step, step.call(frame.slots))


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
        if expired and task.cancelling() - 1 <= floor:
            raise timed_out(step) from None
        raise
    finally:
        timer.cancel()
        if expired:
            task.uncancel()


async def in_thread_once(strand: Strand, frame: Frame, step: StepPlan) -> Any:
    """Call a ``def`` under ``"auto"`` in a thread, and let its gate learn how long it took."""
    gate = step.gate
    assert isinstance(gate, AutoGate)
    return await in_thread(strand, frame, step, gate)


async def in_thread(strand: Strand, frame: Frame, step: StepPlan, gate: AutoGate | None = None) -> Any:
    """Call a ``def`` in a worker thread, with the context of the run; an awaitable that it returns is awaited here.

    When the task is cancelled or the deadline passes, the call gets ``grace_s`` to end. One that does not end is left
    behind and said so. One that ends with an error while it is being cancelled is not lost.
    """
    run = strand.run
    assert step.bind is not None
    call = step.bind(frame.slots)
    if run.inline_only:
        return await _awaited(strand, step, copy_context().run(call))
    job = start_in_thread(run.loop, partial(copy_context().run, call), step.timeout_s)
    del call
    told = None if strand.spawned else strand.domain.host_cancelled
    try:
        in_time = await job.wait()
    except CancelledError:
        if job.withdraw():
            raise
        if told is not None:
            told()
        await _let_end(strand, step, job, told)
        if job.error is not None:
            return Raised(job.error)
        raise
    if not in_time:
        late = timed_out(step)
        early = strand.fail_early(frame, step, late)
        await _let_end(strand, step, job, told)
        late.__context__ = job.error
        if early:
            raise CancelledError  # its domain has been told
        return Raised(late)
    if gate is not None:
        gate.ran_in_thread(SLOW_NS if job.waited else job.took_ns)
    if job.error is not None:
        return Raised(job.error)
    return await _awaited(strand, step, job.take())


async def _awaited(strand: Strand, step: StepPlan, out: Any) -> Any:
    """What a ``def`` returned, awaited if it is an awaitable."""
    if type(out) is dict or not hasattr(out, "__await__"):
        return out
    return await (out if step.timeout_s is None else _with_deadline(strand, step, out))


async def _let_end(strand: Strand, step: StepPlan, job: Job, told: Callable[[], None] | None) -> None:
    """Give a call that nobody wants any more its grace; say so if it does not end, and drop what it returns."""
    grace_s = strand.run.grace_s
    if await job.linger(grace_s, told):
        strand.domain.drop(job.take())
        return
    job.late = strand.domain.drop
    log.warning(
        "%s did not end within %g s of its cancellation and is left behind in its thread (%s)",
        step.path,
        grace_s,
        step.where,
    )
