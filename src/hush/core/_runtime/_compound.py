"""What a task hosts as a failure domain: a run, and a nested graph or loop that is handled or has a deadline."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from hush.core._plan._model import RootPlan, StepPlan
from hush.core._runtime._context import restore
from hush.core._runtime._domain import Domain
from hush.core._runtime._frame import Frame
from hush.core._runtime._run import Raised, Run
from hush.core._runtime._settling import inputs_of
from hush.core._runtime._strand import HostStrand, Strand
from hush.core.errors import NodeTimeout, RunTimeout

if TYPE_CHECKING:  # imported when a loop first runs
    from hush.core._runtime._loop import Rounds


async def run_root(
    run: Run, root: RootPlan, frame: Frame, begins_s: float, timeout_s: float | None
) -> BaseException | None:
    """Run the root frame in a domain whose host is the caller's task; give what failed. It began at ``begins_s``."""
    task = asyncio.current_task(run.loop)
    assert task is not None
    domain = run.domain = Domain(run.loop, task)
    strand = HostStrand(run, domain, task, domain.floor)
    strand.begin(frame)
    timers: list[asyncio.TimerHandle] = []
    if timeout_s is not None:
        late = RunTimeout(f"the run of {run.name!r} took longer than timeout_s={timeout_s:g}")
        timers.append(run.loop.call_at(begins_s + timeout_s, domain.fail, late))
    if root.timeout_s is not None:
        slow = NodeTimeout(f"{run.name} took longer than timeout_s={root.timeout_s:g} ({root.where})")
        timers.append(run.loop.call_at(begins_s + root.timeout_s, domain.fail, slow))
    work = strand.work
    if timers and run.budget.must_wait(perf_counter_ns()):
        work = partial(_in_turn, strand)
    try:
        failure = await domain.conduct(work)
    finally:
        for timer in timers:
            timer.cancel()
        if strand.context is not None:
            restore(strand.context)  # what nodes set in the caller's task is not the caller's business
        processes = run.processes is not None
        if processes:
            from hush.core._runtime._process_pool import close_pools

            await close_pools(run, domain.host_cancelled)
    if processes and failure is None and task.cancelling() > domain.floor:
        raise CancelledError(*domain.why)  # while they were ending
    assert failure is not None or not frame.left, "the engine lost a step"
    del frame  # a failure that is kept may remember this call, and with it the values
    return failure


async def _in_turn(strand: HostStrand) -> None:
    """Wait in line under the timeout: a run that has one may run out of time before its turn comes."""
    await strand.run.budget.turn(served=False)
    await strand.work()


async def run_hosted(strand: Strand, frame: Frame, step: StepPlan) -> Any:
    """Run the graph or loop of ``step`` in a domain whose host is the task that awaits this."""
    assert step.body is not None
    run = strand.run
    loop: Rounds | None = None
    if step.loop is None:
        inner = Frame(step.body, step.call(frame.slots), None, frame.item)
        if run.tracing is not None and run.tracing.sees_calls:
            run.tracing.container_called(frame, step, inputs_of(step, inner.slots))
        frame.entered(step)
    else:
        from hush.core._runtime._loop import Rounds

        loop = Rounds(frame, step, hosted=True, measured=step.measured or run.keeps)
        if run.tracing is not None and run.tracing.sees_calls:
            run.tracing.container_called(frame, step, loop.variables())
        first = loop.first()
        if first is None:
            return loop.outputs()
        inner = first
        del first
    domain = Domain(run.loop, strand.task, strand.domain, fatal=not step.handled, around=frame)
    work = HostStrand(run, domain, strand.task, domain.floor)
    work.begin(inner)
    timer = None
    if step.timeout_s is not None:
        timer = run.loop.call_later(step.timeout_s, lambda: domain.fail(timed_out(step)))
    try:
        failure = await domain.conduct(work.work)
    finally:
        if timer is not None:
            timer.cancel()
    if failure is not None:
        del inner, loop  # from Python 3.12 on, a failure that is kept keeps the frame of this coroutine too
        return Raised(failure)
    return inner.outputs() if loop is None else loop.outputs()


def timed_out(step: StepPlan) -> NodeTimeout:
    """The error of a step that took longer than its ``timeout_s``."""
    return NodeTimeout(f"{step.path} took longer than timeout_s={step.timeout_s:g} ({step.where})")
