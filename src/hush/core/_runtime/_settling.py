"""``Settling``: what becomes of the steps of a strand: skipped, entered, settled or failed, they make others ready."""

from __future__ import annotations

from asyncio import CancelledError
from time import perf_counter_ns
from typing import Any

from hush.core._plan._model import SKIPPED, Slots, StepPlan
from hush.core._runtime._domain import Domain, EndTold, is_ordinary
from hush.core._runtime._frame import Frame, Loop, Ready
from hush.core._runtime._outputs import as_mapping
from hush.core._runtime._run import Run
from hush.core._spec._model import TAGS


def inputs_of(step: StepPlan, slots: Slots) -> dict[str, Any]:
    """What the body of a graph or map was given by name, of its first slots."""
    assert step.body is not None
    read = {key: slots[slot] for key, slot in step.body.inputs.items()}
    return {key: value for key, value in read.items() if value is not SKIPPED}


class Settling:
    """The part of a strand that knows how steps end, and what follows from that.

    Attributes:
        ready: Steps to run now, the next one last.
        floor: ``task.cancelling()`` when the domain began: more than that is a cancellation from outside.
    """

    __slots__ = ("domain", "ready", "run", "task")

    # Set by the strand itself: each task makes one, so a call less is worth it.
    run: Run
    domain: Domain
    ready: Ready
    task: Any  # an asyncio.Task, once it has begun
    floor = 0

    def stop(self) -> None:
        """Forget what was still to do: the domain is ending."""
        raise AssertionError("each strand has more to forget than what is ready")

    def may_run(self, frame: Frame, step: StepPlan) -> bool:
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
        self.complete(frame)
        return False

    def enter(self, frame: Frame, step: StepPlan) -> None:
        """Go into a nested graph that is no domain of its own: its steps run in this strand."""
        assert step.body is not None
        tracing = self.run.tracing
        if tracing is not None:
            tracing.node_started(frame, step)
        try:
            if step.loop is None:
                slots = step.call(frame.slots)
                if tracing is not None and tracing.sees_calls:
                    tracing.container_called(frame, step, inputs_of(step, slots))
                frame.entered(step)
                self.begin(Frame(step.body, slots, (frame, step), frame.item))
                return
            from hush.core._runtime._loop import Rounds  # few graphs have loops

            loop = Rounds(frame, step, hosted=False, measured=step.measured or self.run.keeps)
            if tracing is not None and tracing.sees_calls:
                tracing.container_called(frame, step, loop.variables())
            inner = loop.first()
            if inner is not None:
                self.begin(inner)
                return
            self.settle(frame, step, loop.outputs())
        except BaseException as exc:
            self.failed(frame, step, exc)
        self.complete(frame)

    def begin(self, frame: Frame) -> None:
        """Make the first steps of ``frame`` ready."""
        tracing = self.run.tracing
        if tracing is None:
            frame.start(self.ready)
        else:
            tracing.frame_started(frame, self.ready)

    def complete(self, frame: Frame) -> None:
        """If ``frame`` has settled all its steps, settle the step that it runs for, and so on outwards."""
        while not frame.left and frame.owner is not None:
            owner = frame.owner
            if isinstance(owner, tuple):
                outer, step = owner
                try:
                    self.settle(outer, step, frame.outputs())
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
                self.settle(loop.frame, loop.step, loop.outputs())
                return True
        except BaseException as exc:
            if not loop.hosted:
                self.failed(loop.frame, loop.step, exc)
                return True
            self.run.locate(exc, loop.frame.item, loop.step)
            self.domain.fail(exc, self.task)
            self.stop()
        return False

    def settle(self, frame: Frame, step: StepPlan, out: Any, at_ns: int = 0) -> None:
        """``step`` has given ``out``, now or ``at_ns`` by ``perf_counter_ns``."""
        if type(out) is not dict:
            out = as_mapping(step, out)
        if TAGS in out:
            self.run.tag(step, frame.item, out[TAGS])
        if self.run.tracing is None:
            frame.settle(step, out, self.ready)
        else:
            self.run.tracing.node_settled(frame, step, out, self.ready, at_ns or perf_counter_ns())

    def failed(self, frame: Frame, step: StepPlan, exc: BaseException, *, own: bool = False) -> None:
        """``step`` raised: go on without it if the graph does, else end the domain.

        Raises a cancellation again, unless it is ``own``: known to be what the step itself failed with.
        """
        domain = self.domain
        cancelled = domain.closing or self.task.cancelling() > self.floor
        if isinstance(exc, CancelledError) and cancelled and not own:
            if self.run.tracing is not None and not isinstance(exc, EndTold):
                self.run.tracing.node_cancelled(frame, step)
            if domain.closing:
                self.stop()
                return
            raise exc
        run = self.run
        run.locate(exc, frame.item, step)
        run.note_round(exc, domain.round(frame))
        if step.handled and is_ordinary(exc):
            if cancelled:  # what would have been handled gives way to the cancellation
                if run.tracing is not None and (domain.closing or not own):  # else whoever calls this catches what
                    run.tracing.node_cancelled(frame, step)  # is raised here, and it is told then
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
