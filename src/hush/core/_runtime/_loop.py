"""Loops: one frame of the body after the other, on variables that each round hands to the next.

A loop runs in the strand that reached it, without recursion: when the frame of a round is complete, its owner, the
``Rounds`` of the loop, gives the frame of the next one or says that there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

from hush.core._plan._choice import holds
from hush.core._plan._model import SKIPPED, LoopPlan, StepPlan
from hush.core._runtime._frame import Frame
from hush.core._runtime._metrics import Latencies
from hush.core._spec._model import METRICS
from hush.core.errors import TooManyIterations


class Rounds:
    """One activation of a loop.

    Attributes:
        frame: The frame around it, ``step`` its step there.
        hosted: Whether somebody awaits it, rather than the frame around it going on when it has ended.
        done: How many rounds have ended.
    """

    __slots__ = ("_base", "_began_ns", "_latencies", "_stopped", "_variables", "done", "frame", "hosted", "step")

    def __init__(self, frame: Frame, step: StepPlan, *, hosted: bool, measured: bool) -> None:
        assert step.loop is not None
        self.frame = frame
        self.step = step
        self.hosted = hosted
        self.done = 0
        self._latencies = Latencies() if measured else None
        self._began_ns = 0
        self._stopped = False
        read = [(name, reader(frame.slots)) for name, reader in step.loop.variables]
        self._variables: dict[str, Any] = {name: value for name, value in read if value is not SKIPPED}
        self._base = step.call(frame.slots)
        frame.entered(step)

    def variables(self) -> dict[str, Any]:
        """The loop's variables as they are now."""
        return dict(self._variables)

    def first(self) -> Frame | None:
        """The frame of the first round, ``None`` if there is none."""
        return self._begin({})

    def next(self, last: Frame) -> Frame | None:
        """Take what the round wrote, and give the frame of the next; ``None`` if the loop has ended."""
        # Not ``outputs``: a variable whose writers were all skipped keeps its value.
        self._variables.update(last.slots[0])
        self.done += 1
        if self._latencies is not None:
            self._latencies.add(perf_counter_ns() - self._began_ns)
        return self._begin(last.slots[0])

    def _begin(self, wrote: Mapping[str, Any]) -> Frame | None:
        loop, body = self.step.loop, self.step.body
        assert loop is not None
        assert body is not None
        slots = self._base.copy()
        slots[0] = {}
        for key, slot in body.inputs.items():
            slots[slot] = self._variables.get(key, SKIPPED)
        if loop.stop is not None:
            self._stopped = holds(loop.stop(slots), loop.stop_text)
            if self._stopped:
                return None
        if self.done >= loop.max_iterations:
            if loop.stop is not None and not loop.stops_at_limit:
                raise TooManyIterations(
                    f"{self.step.path} has made {self.done} rounds, and its stop_condition {loop.stop_text!r} does not "
                    f'hold. {_not_written(loop, wrote)}Raise max_iterations=, or write on_limit="stop" to go on with '
                    f"the last values. ({self.step.where})"
                )
            return None
        if self._latencies is not None:
            self._began_ns = perf_counter_ns()
        return Frame(body, slots, self, self.frame.item)

    def outputs(self) -> dict[str, Any]:
        """The last values of the variables; ``None`` for one that was never given nor written."""
        assert self.step.body is not None
        for key in self.step.body.output_keys:
            self._variables.setdefault(key, None)
        if self._latencies is None:
            return self._variables
        metrics = self._latencies.metrics(self.done, 0)
        metrics["stopped_by_condition"] = self._stopped
        metrics["max_iterations_reached"] = not self._stopped
        return {**self._variables, METRICS: metrics}


def _not_written(loop: LoopPlan, wrote: Mapping[str, Any]) -> str:
    """What is said of a loop whose last round wrote nothing that its condition reads."""
    if not loop.stop_keys or not loop.stop_keys.isdisjoint(wrote):
        return ""
    read = ", ".join(sorted(repr(key) for key in loop.stop_keys))
    return f"The last round wrote {', '.join(map(repr, wrote)) or 'nothing'}, and not {read}, which it reads. "
