"""``QuickCalls``: calls on the loop of which tracers are told once, when they have ended, if nothing came between."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from typing import Any, Protocol

from hush.core import events
from hush.core._plan._model import AWAITED, StepPlan
from hush.core._runtime._entering import Enter, place_in, within
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._reading import reading_of
from hush.core._runtime._telling import CLOCK_NS, place_of
from hush.core.protocols import Place


class Begun:
    """A call under way of which no tracer was told, or the place for one: it is used for one call after the other.

    Attributes:
        started_ns: 0 while it is not used.
        ready_ns: When its step became ready, if its frame does not know that.
        inputs: What it was made with, if the frame does not hold that as it is.
        seen: Whether it is to be told of, whatever else is left out, as its place said.
        entered: Whether tracers have prepared the context of the task that awaits it.
        place: How they do that, if any does.
    """

    __slots__ = ("entered", "frame", "inputs", "item", "number", "place", "ready_ns", "seen", "started_ns", "step")

    frame: Any  # none while it is not used
    step: StepPlan
    item: tuple[int, ...]  # the frame may be another item's by the time that a thread looks at it
    number: int
    ready_ns: int

    def __init__(self) -> None:
        self.started_ns = 0
        self.frame = None
        self.inputs: Mapping[str, Any] | None = None
        self.entered = False
        self.place: Place | None = None
        self.seen: object = False

    def begin(self, frame: Frame, step: StepPlan, number: int, started_ns: int, ready_ns: int) -> None:
        """A function is about to be called on the loop, of which nobody is told before it has ended.

        ``ready_ns`` is when it became ready, or 0 if its frame knows; both are by ``perf_counter_ns``.
        """
        self.frame = frame
        self.step = step
        self.item = frame.item
        self.number = number
        self.ready_ns = ready_ns
        self.started_ns = started_ns  # last: whoever looks in another thread takes it for under way then

    def reads(self) -> Mapping[str, Any] | None:
        """What it was called with, as that is now; before its frame is told what it gave."""
        if self.inputs is None:
            slots = reading_of(self.step).slots
            if slots is not None:
                values = self.frame.slots
                return {name: values[slot] for name, slot in slots}
        return self.inputs

    def called(self, run: str, started_ns: int, inputs: Mapping[str, Any] | None = None) -> events.NodeCalled:
        """The event of the call."""
        item, outer = place_of(self.item)
        at_ns = started_ns + CLOCK_NS
        return events.NodeCalled(run, self.step.path, item, at_ns, inputs, 1, None, outer, self.number)

    def leave(self) -> None:
        """Undo what tracers have done to the context of this task, if that is so."""
        if self.entered:
            self.entered = False
            self.seen = self.place.leave()  # type: ignore[union-attr]


class Quick(Protocol):
    """What a strand asks about a call on the loop that may be told of at once.

    Attributes:
        direct: Whether ``step.call`` alone does what ``call`` does, for steps that read slots as they are.
        numbers: Of calls that begin.
    """

    direct: bool
    numbers: Iterator[int]

    def spare(self) -> Begun:
        """One of no call, which a strand may use for one call after the other, until it gives it back."""
        ...

    def give_back(self, begun: Begun) -> None:
        """It is of no call, and not needed for more."""
        ...

    def call(self, begun: Begun) -> Any:
        """Call it, as ``step.call`` does. What is to be awaited is awaited in this task, before all else."""
        ...

    def ended(self, begun: Begun, out: dict[str, Any], ready: Ready, at_ns: int) -> int | None:
        """It has ended well, ``at_ns`` by ``perf_counter_ns``: settle the step, and tell of all at once.

        Gives what ``Frame.settle_then`` does.
        """
        ...

    def note_ready(self, frame: Frame, step: StepPlan, at_ns: int) -> None:
        """What ``ended`` gave does not begin at once."""
        ...

    def tell_begun(self, begun: Begun) -> None:
        """More came of it than an end: tell now what would have been told then, unless that is done."""
        ...


class Teller(Protocol):
    """What tells a run's tracers of all else: ``Tracing``, as it is known here."""

    entering: list[Any]
    enters: list[Enter]
    kept: dict[str, dict[str, Any]] | None
    numbers: Iterator[int]
    ran: Callable[..., None]

    def drop(self, error: BaseException) -> None: ...

    def tell(self, event: events.Event) -> None: ...

    def tell_started(self, frame: Frame, step: StepPlan, at_ns: int, number: int, ready_ns: int) -> None: ...

    def note_ready(self, ready: Ready, before: int, at_ns: int) -> None: ...

    def keep(self, frame: Frame, step: StepPlan, out: Mapping[str, Any]) -> None: ...


class QuickCalls:
    """Those of one run.

    Attributes:
        free: Of no call now.
        lines: Of calls that are not made here: each may be under way.
        numbers: Of calls that begin.
    """

    __slots__ = ("_all", "_enters", "_run", "_tracing", "direct", "free", "lines", "numbers")

    def __init__(self, tracing: Teller, run: str) -> None:
        self._tracing = tracing
        self._run = run
        self.numbers = tracing.numbers
        self._enters = bool(tracing.entering)
        self.direct = not self._enters
        self._all: list[Begun] = []  # one for each call at a time, used again and again
        self.free: list[Begun] = []
        self.lines: set[Begun] = set()

    def spare(self) -> Begun:
        """As ``Quick`` says."""
        if self.free:
            return self.free.pop()
        begun = Begun()
        self.place(begun)
        self._all.append(begun)
        return begun

    def give_back(self, begun: Begun) -> None:
        """As ``Quick`` says."""
        self.free.append(begun)

    def call(self, begun: Begun) -> Any:
        """As ``Quick`` says."""
        step, slots, place = begun.step, begun.frame.slots, begun.place
        reading = step.reading or reading_of(step)
        if step.bind is None or (place is None and reading.slots is not None):
            return step.call(slots)
        call: Any = None
        awaited = step.gate.mode == AWAITED
        if reading.slots is None:  # what is done to what it reads is done once
            call = step.bind(slots)
            begun.inputs = reading.of(call)
            if place is None:
                return call() if awaited else copy_context().run(call)
        assert place is not None
        if awaited:
            out = step.call(slots) if call is None else call()
            place.enter(begun.number)
            begun.entered = True
            return out
        place.enter(begun.number)
        try:
            out = step.call(slots) if call is None else copy_context().run(call)
        finally:
            begun.seen = place.leave()
        if type(out) is not dict and hasattr(out, "__await__"):
            return within(self._tracing.enters, begun.called(self._run, begun.started_ns), out)
        return out

    def ended(self, begun: Begun, out: dict[str, Any], ready: Ready, at_ns: int) -> int | None:
        """As ``Quick`` says."""
        frame, step, item, started_ns = begun.frame, begun.step, begun.item, begun.started_ns
        if begun.entered:
            begun.leave()
        inputs = begun.inputs
        if inputs is None and (reads := step.reading.slots) is not None:  # ``Begun.reads``, spelt out
            slots, inputs = frame.slots, {}
            for name, slot in reads:
                inputs[name] = slots[slot]
        number, ready_ns, before, tracing = begun.number, begun.ready_ns, len(ready), self._tracing
        then: int | None = frame.settle_then(step, out, ready)
        begun.started_ns = 0  # not before: if that raises, there is more to tell
        begun.frame = begun.inputs = None
        if tracing.kept is not None:
            tracing.keep(frame, step, out)
        if not ready_ns:
            try:
                ready_ns = frame.readied.pop(step.index, started_ns)
            except AttributeError:  # nobody noted when
                ready_ns = started_ns
        index, outer = (item[-1], item[:-1]) if item else (None, ())
        ended_ns = at_ns
        if CLOCK_NS:
            ended_ns, ready_ns, started_ns = at_ns + CLOCK_NS, ready_ns + CLOCK_NS, started_ns + CLOCK_NS
        try:  # ``Telling.tell_ran``, spelt out
            tracing.ran(self._run, step.path, index, ended_ns, outer, ready_ns, started_ns, inputs, out, number, False)
        except (Exception, CancelledError) as exc:
            tracing.drop(exc)
        if len(ready) > before:
            tracing.note_ready(ready, before, at_ns)
        return then

    def note_ready(self, frame: Frame, step: StepPlan, at_ns: int) -> None:
        """As ``Quick`` says."""
        self._tracing.note_ready([(frame, step)], 0, at_ns)

    def tell_begun(self, begun: Begun) -> None:
        """As ``Quick`` says."""
        started_ns, begun.started_ns = begun.started_ns, 0  # first: what was told of is not asked for
        if not started_ns:
            return
        begun.leave()
        tracing = self._tracing
        tracing.tell_started(begun.frame, begun.step, started_ns + CLOCK_NS, begun.number, begun.ready_ns)
        inputs = begun.reads()
        if inputs is not None:
            tracing.tell(begun.called(self._run, started_ns, inputs))
        begun.frame = begun.inputs = None

    def is_direct(self, step: StepPlan) -> bool:
        """Whether nothing is to be done around the calls of ``step``."""
        return not self._enters and reading_of(step).slots is not None

    def place(self, begun: Begun) -> None:
        """Give it the place where its calls are made, if any tracer wants that."""
        if self._enters:
            begun.place = place_in(self._tracing.entering, lambda: begun.called(self._run, begun.started_ns))

    def under_way(self, before_ns: int, most: int) -> list[events.NodeStarted]:
        """At most ``most`` of them that began before an instant, oldest first; in any thread."""
        found: list[events.NodeStarted] = []
        for begun in (*self._all, *self.lines):  # at once, since the loop goes on meanwhile
            started_ns = begun.started_ns
            if started_ns and started_ns + CLOCK_NS <= before_ns:
                event = self._started(begun, started_ns + CLOCK_NS)
                if begun.started_ns == started_ns:  # else it is another call by now
                    found.append(event)
        found.sort(key=lambda event: event.number)
        return found[:most]

    def _started(self, begun: Begun, at_ns: int) -> events.NodeStarted:
        item, outer = place_of(begun.item)
        return events.NodeStarted(self._run, begun.step.path, item, at_ns, outer, begun.number)
