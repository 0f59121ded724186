"""``Frame``: one activation of a plan, synchronous inside and driven from outside.

State, all of it:

    slots       values by number; slot 0 is the dict of what was written to ``PARENT``
    countdowns  for each step how many it still waits for; then, for each shared slot, how many still read it; then,
                for each step with soft edges, how many of them have not arrived, 0 once it need not wait for them
    left        how many of the steps that nothing waits for have not settled; at 0 all have: the frame is complete
    marks       what did not run or failed, made when the first such thing happens: most frames have none

A step settles exactly once: with its output, by ``fail`` (it failed and the graph goes on) or by ``skip``. Each takes
the step's values, then counts down those that wait for it and hands those that have become ready to ``ready``. Nothing
here awaits, reads a clock or knows a task, so a frame can be tested without a loop, in any order of completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from hush.core._plan._model import SKIPPED, Gives, Plan, Slots, StepPlan
from hush.core._runtime._outputs import SKIPPED_OUTPUT, FailedOutput, Lacking, absent, check_watch, plain_keys, starred
from hush.core._spec._model import ERROR, TAGS
from hush.core.errors import MissingKeyError

Ready: TypeAlias = "list[tuple[Frame, StepPlan]]"


class Marks:
    """What is not as usual in a frame: dead edges, references to skipped steps, readers of failed ones."""

    __slots__ = ("blocked", "dead_edges", "star_writers", "unread")

    def __init__(self) -> None:
        self.star_writers: dict[str, str] = {}
        self.dead_edges: dict[int, int] = {}
        self.unread: set[int] = set()
        self.blocked: set[int] = set()


class Loop(Protocol):
    """What goes on when a frame is complete that was one round of a loop."""

    frame: Frame
    step: StepPlan
    hosted: bool
    done: int

    def next(self, last: Frame) -> Frame | None:
        """The frame of the next round, ``None`` if ``last`` was the last one."""
        ...

    def outputs(self) -> dict[str, Any]:
        """What the loop gives, once it has ended."""
        ...


class Frame:
    """One activation of ``plan``.

    Args:
        slots: Its first values.
        owner: The frame and step that it runs for, if a frame around it goes on when it is complete; or the rounds
            of a loop.
        item: Where it stands in the maps around it: the indexes, innermost last.
    """

    __slots__ = ("countdowns", "item", "left", "marks", "owner", "plan", "readied", "slots")

    readied: dict[int, int]
    """When steps became ready; only terse tracers have it made, so it is not there before."""

    def __init__(
        self,
        plan: Plan,
        slots: Slots,
        owner: tuple[Frame, StepPlan] | Loop | None = None,
        item: tuple[int, ...] = (),
    ) -> None:
        self.plan = plan
        self.slots = slots
        self.countdowns = plan.countdowns.copy()
        self.left = plan.ends
        self.marks: Marks | None = None
        self.owner = owner
        self.item = item

    def round(self) -> int | None:
        """The round of the innermost loop around, as far as frames know of those that they run for."""
        owner = self.owner
        while isinstance(owner, tuple):
            owner = owner[0].owner
        return None if owner is None else owner.done

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
        liveness = step.liveness
        if liveness is None or liveness.from_start:
            return True
        if liveness.edges:
            return marks.dead_edges.get(number, 0) < liveness.edges
        return number not in marks.unread

    def entered(self, step: StepPlan) -> None:
        """A container has read all that it reads from this frame: what nobody else wants may die."""
        assert step.on_entry is not None
        frees, shares = step.on_entry
        for slot in frees:
            self.slots[slot] = None
        for place, slot in shares:
            self.countdowns[place] -= 1
            if not self.countdowns[place]:
                self.slots[slot] = None

    # --- settling -----------------------------------------------------------------------------------------
    def settle(self, step: StepPlan, out: Mapping[str, Any], ready: Ready) -> None:
        """Take what is read of a step's output, then count down those that wait for it.

        Raises, before anything is counted, if a key that it writes to ``PARENT`` is missing.
        """
        slots = self.slots
        try:
            for key, slot in step.captures:
                slots[slot] = out[key]
        except KeyError:
            self._take(step, out)
        gives = step.gives
        if gives is not None:
            if gives.plain and type(out) is dict:
                self.write_plainly(step, gives, out)
            else:
                self._give(step, gives, out, ready)
        for slot in step.frees:
            slots[slot] = None
        for place, slot in step.shares:
            left = self.countdowns[place] = self.countdowns[place] - 1
            if not left:
                slots[slot] = None
        if step.after:
            self.arrive(step, ready)
        else:
            self.left -= 1

    def settle_then(self, step: StepPlan, out: dict[str, Any], ready: Ready) -> int | None:
        """``settle`` a step that ran; gives the number of the only one that this makes ready, not handed over.

        It does so only where nobody need look whether that one runs.
        """
        gives = step.gives
        if self.marks is not None or (gives is not None and not gives.plain):
            self.settle(step, out, ready)
            return None
        slots = self.slots
        try:
            for key, slot in step.captures:
                slots[slot] = out[key]
        except KeyError:
            self.settle(step, out, ready)
            return None
        if gives is not None:
            self.write_plainly(step, gives, out)
        for slot in step.frees:
            slots[slot] = None
        for place, slot in step.shares:
            left = self.countdowns[place] = self.countdowns[place] - 1
            if not left:
                slots[slot] = None
        then = step.then
        if then is None:
            if step.after:
                self.arrive(step, ready)
            else:
                self.left -= 1
        return then

    def arrive(self, step: StepPlan, ready: Ready) -> None:
        """Count down those that wait for ``step``, and hand over those that have become ready."""
        countdowns = self.countdowns
        for number in step.after:
            left = countdowns[number] = countdowns[number] - 1
            if not left:
                ready.append((self, self.plan.steps[number]))

    def open_stream(self, step: StepPlan, ready: Ready) -> None:
        """A map begins, or will not: what streams from it need not wait for it any more."""
        number = step.reader
        assert number is not None
        self.countdowns[number] -= 1
        if not self.countdowns[number]:
            ready.append((self, self.plan.steps[number]))

    def fail(self, step: StepPlan, error: BaseException, ready: Ready) -> None:
        """The step failed and the graph goes on: it counts as run, with ``error`` and nothing else."""
        assert step.liveness is not None
        self._marked().blocked.update(step.liveness.blocked_after)
        self.settle(step, FailedOutput(error=error), ready)

    def skip(self, step: StepPlan, ready: Ready) -> None:
        """The step does not run: what it would have given is not there, and its edges are dead."""
        if step.map is not None:
            for slot in step.map.streams_from:
                channel = self.slots[slot]
                if channel is not SKIPPED:
                    channel.abandon()
        if step.on_entry is not None:
            self.entered(step)
        marks, liveness = self._marked(), step.liveness
        assert liveness is not None
        for number in liveness.edges_after:
            marks.dead_edges[number] = marks.dead_edges.get(number, 0) + 1
        marks.unread.update(liveness.strict_after)
        if step.reader is not None:
            self.open_stream(step, ready)
        self.settle(step, SKIPPED_OUTPUT, ready)

    def write_plainly(self, step: StepPlan, gives: Gives, out: dict[str, Any]) -> None:
        """``_write`` of a step that ran and gives nothing out of the ordinary: most do."""
        written: dict[str, Any] = self.slots[0]
        if gives.stars:
            written.update(out if out.keys() <= plain_keys else starred(step, out))
        for key, to in gives.writes:
            try:
                written[to] = out[key]
            except KeyError:
                written[to] = absent(step, key, out)

    def _give(self, step: StepPlan, gives: Gives, out: Mapping[str, Any], ready: Ready) -> None:
        """Take what may be missing, and hand over what the step writes to ``PARENT``."""
        for key, slot in gives.optional:
            self.slots[slot] = out.get(key, SKIPPED)
        if out is not SKIPPED_OUTPUT:
            self._write(step, gives, out)
        if gives.arms and out is not SKIPPED_OUTPUT:
            self._choose(gives, out)
        if gives.soft_after:
            self._deliver_softly(gives, live=out is not SKIPPED_OUTPUT, ready=ready)

    def _choose(self, gives: Gives, out: Mapping[str, Any]) -> None:
        """A branch ran: its edges to the targets that it did not choose are dead."""
        marks, chosen = self._marked(), out["target"]
        for name, number in gives.arms:
            if name != chosen:
                marks.dead_edges[number] = marks.dead_edges.get(number, 0) + 1

    def _deliver_softly(self, gives: Gives, *, live: bool, ready: Ready) -> None:
        """Tell those joined by soft edges: the first live delivery arrives, or, after the last, a dead one."""
        countdowns = self.countdowns
        for number, place, decides in gives.soft_after:
            left = countdowns[place]
            if not left:
                continue  # one has arrived before
            countdowns[place] = 0 if live else left - 1
            if countdowns[place]:
                continue
            if not live and decides:
                marks = self._marked()
                marks.dead_edges[number] = marks.dead_edges.get(number, 0) + 1
            countdowns[number] -= 1
            if not countdowns[number]:
                ready.append((self, self.plan.steps[number]))

    def _write(self, step: StepPlan, gives: Gives, out: Mapping[str, Any]) -> None:
        """Hand over what the step writes to ``PARENT``."""
        written: dict[str, Any] = self.slots[0]
        failed = type(out) is FailedOutput
        if gives.stars:
            if failed:
                written.update(dict.fromkeys(gives.known_keys))
            elif gives.watch is not None:
                check_watch(step, gives.watch, out, self._marked().star_writers)
            written.update(starred(step, out))
        if gives.everything:
            written.update(out)
            written.pop(TAGS, None)
            if step.loop is not None:
                written.setdefault(ERROR, None)
        for key, to in gives.writes:
            try:
                written[to] = out[key]
            except KeyError:
                written[to] = absent(step, key, out)
        for to, compute in gives.computed:
            written[to] = compute(out) if not failed or to in gives.computed_of_error else None

    def _take(self, step: StepPlan, out: Mapping[str, Any]) -> None:
        """Take what is read of an output in which some of it is not there: who reads that fails, should it run."""
        for key, slot in step.captures:
            try:
                self.slots[slot] = out[key] if key in out else absent(step, key, out)
            except MissingKeyError as exc:
                self._marked()  # or nobody would look
                self.slots[slot] = Lacking(exc)

    def lacking(self, step: StepPlan) -> MissingKeyError | None:
        """The error of a step that is to run, but reads a key that is not there."""
        frees, shares = (step.frees, step.shares) if step.on_entry is None else step.on_entry
        for slot in (*frees, *(slot for _, slot in shares)):
            value = self.slots[slot]
            if type(value) is Lacking:
                return MissingKeyError(f"{value.error} It is read by {step.path} ({step.where}).")
        return None

    def _marked(self) -> Marks:
        if self.marks is None:
            self.marks = Marks()
        return self.marks

    def outputs(self) -> dict[str, Any]:
        """What a complete frame gives: what was written to ``PARENT``, ``None`` where all writers were skipped."""
        written: dict[str, Any] = self.slots[0]
        plan, marks = self.plan, self.marks
        if marks is None and not plan.several_writers:
            return written
        if marks is not None:
            for key in plan.output_keys:
                written.setdefault(key, None)
        if not plan.several_writers or len(written) < 2:
            return written
        # The order of keys, too, follows from the graph, not from who finished first.
        keys = dict.fromkeys(key for key in plan.output_keys if key in written)
        hidden = [key for key in written if key not in keys]
        if marks is not None and marks.star_writers:
            names = [step.name for step in plan.steps]
            hidden.sort(key=lambda key: names.index(marks.star_writers[key]) if key in marks.star_writers else -1)
        keys.update(dict.fromkeys(hidden))
        return {key: written[key] for key in keys}
