"""A nested graph or loop that is a failure domain of its own: its failure is handled, or it has a deadline."""

from __future__ import annotations

from typing import Any

from hush.core._plan._model import StepPlan
from hush.core._runtime._domain import Domain
from hush.core._runtime._frame import Frame
from hush.core._runtime._loop import Rounds
from hush.core._runtime._run import Raised
from hush.core._runtime._strand import HostStrand, Strand
from hush.core.errors import NodeTimeout


async def run_hosted(strand: Strand, frame: Frame, step: StepPlan) -> Any:
    """Run the graph or loop of ``step`` in a domain whose host is the task that awaits this."""
    assert step.body is not None
    run = strand.run
    loop: Rounds | None = None
    if step.loop is None:
        inner = Frame(step.body, step.call(frame.slots), None, frame.item)
        frame.entered(step)
    else:
        loop = Rounds(frame, step, hosted=True, measured=step.measured or run.keeps)
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
