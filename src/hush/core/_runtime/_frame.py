"""``Frame``: one activation of a plan, synchronous inside and driven from outside.

State, all of it:

    slots       values by number; slot 0 is the dict of what was written to ``PARENT``
    countdowns  for each step how many it still waits for; then, for each shared slot, how many still read it
    left        how many steps have not settled; at 0 the frame is complete
    marks       what did not run or failed, made when the first such thing happens: most frames have none

A step settles exactly once: ``finish`` (it ran), ``fail`` (it failed and the graph goes on) or ``skip``. Each takes the
step's values, then counts down those that wait for it and hands the ones that have become ready to ``ready``. Nothing
here awaits, reads a clock or knows a task, so a frame can be tested without a loop, in any order of completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from hush.core._plan._model import SKIPPED, Plan, Slots, StepPlan
from hush.core._runtime._outputs import FailedOutput, absent, as_mapping, check_watch, starred

Ready: TypeAlias = "list[tuple[Frame, StepPlan]]"


class Marks:
    """What is not as usual in a frame: dead edges, references to skipped steps, readers of failed ones."""

    __slots__ = ("blocked", "dead_edges", "star_writers", "unread")

    def __init__(self) -> None:
        self.star_writers: dict[str, str] = {}
        self.dead_edges: dict[int, int] = {}
        self.unread: set[int] = set()
        self.blocked: set[int] = set()


class Frame:
    """One activation of ``plan``.

    Args:
        slots: Its first values.
        owner: The frame and step that it runs for, if a frame around it goes on when it is complete.
        item: Where it stands in the maps around it: the indexes, innermost last.
    """

    __slots__ = ("countdowns", "item", "left", "marks", "owner", "plan", "slots")

    def __init__(
        self,
        plan: Plan,
        slots: Slots,
        owner: tuple[Frame, StepPlan] | None = None,
        item: tuple[int, ...] = (),
    ) -> None:
        self.plan = plan
        self.slots = slots
        self.countdowns = plan.countdowns.copy()
        self.left = len(plan.steps)
        self.marks: Marks | None = None
        self.owner = owner
        self.item = item

    def start(self, ready: Ready) -> None:
        """Hand over the steps that wait for nothing; the last of the list is to run first."""
        for step in self.plan.first:
            ready.append((self, step))

    def runs(self, step: StepPlan) -> bool:
        """Whether a ready step runs or is skipped. Edges decide; without edges, what it refers to."""
        marks = self.marks
        if marks is None:
            return True
        number = step.index
        if number in marks.blocked:
            return False
        if step.from_start:
            return True
        if step.edge_count:
            return marks.dead_edges.get(number, 0) < step.edge_count
        return number not in marks.unread

    # --- settling -----------------------------------------------------------------------------------------
    def take(self, step: StepPlan, out: Any) -> Mapping[str, Any]:
        """Keep what is read of a step's output, and give it as a mapping.

        Raises if it is none, or if a key that is read is missing.
        """
        slots = self.slots
        if type(out) is not dict:
            out = as_mapping(step, out)
        for key, slot in step.captures:
            try:
                slots[slot] = out[key]
            except KeyError:
                slots[slot] = absent(step, key, out)
        if step.optional:
            for key, slot in step.optional:
                slots[slot] = out.get(key, SKIPPED)
        if step.stars or step.writes or step.computed:
            self._write(step, out)
        return out  # type: ignore[no-any-return]  # a dict, or what as_mapping gave

    def _write(self, step: StepPlan, out: Mapping[str, Any]) -> None:
        written: dict[str, Any] = self.slots[0]
        if step.stars:
            if step.watch is not None:
                if self.marks is None:
                    self.marks = Marks()
                check_watch(step, step.watch, out, self.marks.star_writers)
            written.update(starred(out))
        for key, to in step.writes:
            try:
                written[to] = out[key]
            except KeyError:
                written[to] = absent(step, key, out)
        for to, compute in step.computed:
            written[to] = compute(out)

    def finish(self, step: StepPlan, ready: Ready) -> None:
        """The step ran, and its output was taken: count down."""
        slots, countdowns = self.slots, self.countdowns
        for slot in step.frees:
            slots[slot] = None
        for place, slot in step.shares:
            countdowns[place] -= 1
            if not countdowns[place]:
                slots[slot] = None
        self.left -= 1
        steps = self.plan.steps
        for number in step.after:
            countdowns[number] -= 1
            if not countdowns[number]:
                ready.append((self, steps[number]))

    def fail(self, step: StepPlan, error: BaseException, ready: Ready) -> None:
        """The step failed and the graph goes on: it counts as run, with ``error`` and nothing else."""
        if self.marks is None:
            self.marks = Marks()
        out = FailedOutput(error=error)
        for key, slot in (*step.captures, *step.optional):
            self.slots[slot] = out[key]
        written: dict[str, Any] = self.slots[0]
        if step.stars:
            written.update(dict.fromkeys(step.known_keys))
        for key, to in step.writes:
            written[to] = out[key]
        for to, _ in step.computed:
            written[to] = None
        self.marks.blocked.update(step.blocked_after)
        self.finish(step, ready)

    def skip(self, step: StepPlan, ready: Ready) -> None:
        """The step does not run: what it would have given is not there, and its edges are dead."""
        marks = self.marks
        if marks is None:
            marks = self.marks = Marks()
        for _, slot in (*step.captures, *step.optional):
            self.slots[slot] = SKIPPED
        for number in step.edges_after:
            marks.dead_edges[number] = marks.dead_edges.get(number, 0) + 1
        marks.unread.update(step.strict_after)
        self.finish(step, ready)

    def outputs(self) -> dict[str, Any]:
        """What a complete frame gives: what was written to ``PARENT``, ``None`` where all writers were skipped."""
        written: dict[str, Any] = self.slots[0]
        if self.marks is not None:
            for key in self.plan.output_keys:
                written.setdefault(key, None)
            for step in self.plan.steps:
                for key in step.known_keys:
                    written.setdefault(key, None)
        return written
