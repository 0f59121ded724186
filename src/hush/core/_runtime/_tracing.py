"""``Tracing``: tells a run's tracers what happens, in order. Without a tracer there is none, and no event is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import copy_context
from time import get_clock_info, monotonic_ns, perf_counter_ns
from typing import Any, NamedTuple

from hush.core import events
from hush.core._plan._model import AWAITED, StepPlan
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._telling import Telling, place_of
from hush.core._spec._model import ERROR, TAGS
from hush.core.errors import UsageError
from hush.core.events import Event
from hush.core.protocols import Tracer

CLOCK_NS = 0 if get_clock_info("monotonic") == get_clock_info("perf_counter") else monotonic_ns() - perf_counter_ns()
"""What makes an instant of ``perf_counter_ns``, by which calls are timed, one of ``monotonic_ns``: often one clock."""
_NodeFinished, _NodeReady, _NodeStarted = events.NodeFinished, events.NodeReady, events.NodeStarted
_NodeRan = events.NodeRan  # a global costs less than an attribute of a module, three times a node
_new: Any = tuple.__new__  # a NamedTuple's own constructor costs twice as much, three times a node


class Listener:
    """A tracer of the engine's own, which may also hold the run back."""

    tracing: Tracing

    def attach(self, tracing: Tracing, run: Any) -> None:
        """The run begins."""
        self.tracing = tracing

    def emit(self, event: Event, /) -> None:
        raise AssertionError("each listener takes events in its own way")


def tracers_of(tracer: Any) -> list[Tracer]:
    """The tracers that ``tracer=`` was given, one or a list."""
    if tracer is None:
        return []
    found = list(tracer) if isinstance(tracer, list | tuple) else [tracer]
    for one in found:
        if isinstance(one, type) or not callable(getattr(one, "emit", None)):
            raise UsageError(f"tracer={one!r}: a tracer is an object with a method emit(event).")
    if len({id(one) for one in found}) < len(found):
        raise UsageError("tracer=[...]: one of them is there twice, and would be told everything twice.")
    return found


class Tracing(Telling):
    """The tracers of one run.

    Attributes:
        kept: What the nodes outside maps gave, by path, if the run keeps it.
        terse: Whether all tracers take one event for most calls.
        sees_calls: Whether a tracer wants to be told what nodes read and gave, or to prepare the context of calls.
    """

    __slots__ = ("_begun", "_enters", "_numbers", "_started", "_threads_ns", "kept", "sees_calls", "terse")

    def __init__(self, run: Any, tracers: Sequence[Tracer]) -> None:
        own: list[Any] = [getattr(one, "for_run", None) for one in tracers]
        tracers = [one if make is None else make() for one, make in zip(tracers, own, strict=True)]
        super().__init__(run, tracers)
        self.kept: dict[str, dict[str, Any]] | None = None
        enters: list[Any] = [one for one in (getattr(tracer, "enter", None) for tracer in tracers) if callable(one)]
        self._enters: list[Callable[[Event], Callable[[], object]]] = enters
        self.terse = bool(tracers) and all(getattr(one, "terse", False) for one in tracers)
        self._started = 0  # how many nodes have
        self._begun: dict[int, Begun] = {}  # calls under way of which nobody was told, by number
        self._numbers: dict[tuple[str, tuple[int, ...]], int] = {}  # of nodes under way that were told of
        self._threads_ns: dict[tuple[str, tuple[int, ...]], int] = {}  # of nodes that have not ended
        if self.terse:
            for one in tracers:
                one.attach(self._under_way)  # type: ignore[attr-defined]
        self.sees_calls = bool(self._enters) or any(getattr(tracer, "sees_calls", False) for tracer in tracers)
        for tracer in tracers:
            if isinstance(tracer, Listener):
                tracer.attach(self, run)

    def _keep(self, frame: Frame, step: StepPlan, out: Mapping[str, Any]) -> None:
        if self.kept is not None and not frame.item:
            self.kept[step.path] = {key: value for key, value in out.items() if key != TAGS}

    def node_started(self, frame: Frame, step: StepPlan, at_ns: int = 0) -> None:
        """``step`` is about to be called, now or ``at_ns`` by ``perf_counter_ns``."""
        if self.terse:
            self._tell_ready(frame, step)
        self._tell_started(frame, step, (at_ns or perf_counter_ns()) + CLOCK_NS, self._next_number())

    def _next_number(self) -> int:
        self._started = number = self._started + 1
        return number

    def _tell_started(self, frame: Frame, step: StepPlan, at_ns: int, number: int) -> None:
        item = frame.item
        if self._enters and step.bind is not None:
            self._numbers[step.path, item] = number
        self.tell(_new(_NodeStarted, (self._run, step.path, item[-1] if item else None, at_ns, item[:-1], number)))

    # --- calls of which all tracers take one event, when they have ended ------------------------------------------
    def begin(self, frame: Frame, step: StepPlan, started_ns: int) -> Begun:
        """A function is about to be called on the loop, of which nobody is told before it has ended."""
        self._started = number = self._started + 1
        begun = self._begun[number] = Begun(frame, step, started_ns, number)
        return begun

    def call_begun(self, begun: Begun) -> Any:
        """Call it, as ``step.call`` does."""
        step = begun.step
        reading = step.reading or _reading_of(step)
        slots = begun.frame.slots
        if self._enters and step.bind is not None:
            call: Any = step.bind(slots)
            begun.inputs = {**dict(zip(reading.names, call.args, strict=False)), **call.keywords}
            if step.gate.mode == AWAITED:  # an ``async def``: all of it runs where it is awaited
                return _within(self._enters, begun.called(self._run), call())
            return copy_context().run(_Entered(self._enters, begun.called(self._run), call))
        if reading.slots is not None:
            begun.inputs = {name: slots[slot] for name, slot in reading.slots}
            return step.call(slots)
        if step.bind is None:
            return step.call(slots)
        call = step.bind(slots)
        begun.inputs = {**dict(zip(reading.names, call.args, strict=False)), **call.keywords}
        return copy_context().run(call)

    def node_ran(self, begun: Begun, out: dict[str, Any], ready: Ready, at_ns: int) -> None:
        """It has ended well, ``at_ns`` by ``perf_counter_ns``: settle the step, and tell of all at once."""
        frame, step, started_ns = begun.frame, begun.step, begun.started_ns
        before = len(ready)
        frame.settle(step, out, ready)
        del self._begun[begun.number]  # not before: if that raises, there is more to tell
        if self.kept is not None:
            self._keep(frame, step, out)
        item = frame.item
        try:
            ready_ns = frame.readied.pop(step.index, started_ns) + CLOCK_NS
        except AttributeError:  # nobody was told when
            ready_ns = started_ns + CLOCK_NS
        told = (
            self._run,
            step.path,
            item[-1] if item else None,
            at_ns + CLOCK_NS,
            item[:-1],
            ready_ns,
            started_ns + CLOCK_NS,
            begun.inputs,
            out,
            begun.number,
        )
        self.tell(_new(_NodeRan, told))
        if len(ready) > before:
            self._note_ready(ready, before, at_ns)

    def tell_begun(self, begun: Begun) -> None:
        """More came of it than an end: tell now what would have been told then."""
        if self._begun.pop(begun.number, None) is None:
            return
        self._tell_ready(begun.frame, begun.step)
        self._tell_started(begun.frame, begun.step, begun.started_ns + CLOCK_NS, begun.number)
        if begun.inputs is not None:
            self.tell(begun.called(self._run, begun.inputs))

    def _under_way(self, before_ns: int, most: int) -> list[events.NodeStarted]:
        found: list[events.NodeStarted] = []
        for begun in list(self._begun.values()):  # at once, since the loop goes on meanwhile
            if begun.started_ns + CLOCK_NS > before_ns or len(found) == most:
                break
            item, outer = place_of(begun.item)
            at_ns = begun.started_ns + CLOCK_NS
            found.append(events.NodeStarted(self._run, begun.step.path, item, at_ns, outer, begun.number))
        return found

    def _note_ready(self, ready: Ready, before: int, at_ns: int) -> None:
        """Remember when steps became ready, by ``perf_counter_ns``; it is told with what they start with."""
        for frame, step in ready[before:]:
            try:
                frame.readied[step.index] = at_ns
            except AttributeError:
                frame.readied = {step.index: at_ns}

    def _tell_ready(self, frame: Frame, step: StepPlan) -> None:
        try:
            at_ns = frame.readied.pop(step.index)
        except (AttributeError, KeyError):
            return
        item, outer = place_of(frame.item)
        self.tell(events.NodeReady(self._run, step.path, item, at_ns + CLOCK_NS, outer))

    # --- calls, where a tracer wants to see them ------------------------------------------------------------
    def call(self, frame: Frame, step: StepPlan, attempt: int = 1) -> Any:
        """Call the function of a leaf, as ``step.call`` does, and tell what it is called with."""
        if step.bind is None:
            return step.call(frame.slots)
        return copy_context().run(self.prepared(frame, step, attempt))

    def prepared(self, frame: Frame, step: StepPlan, attempt: int = 1) -> Callable[[], Any]:
        """The call of a leaf, to be made in a copy of the context, in whatever thread; tell what it is called with."""
        assert step.bind is not None
        call: Any = step.bind(frame.slots)
        names = (step.reading or _reading_of(step)).names
        inputs = {**dict(zip(names, call.args, strict=False)), **call.keywords}
        item, outer = place_of(frame.item)
        number = self._numbers.get((step.path, frame.item), 0)
        event = events.NodeCalled(self._run, step.path, item, monotonic_ns(), inputs, attempt, None, outer, number)
        self.tell(event)
        return _Entered(self._enters, event._replace(inputs=None), call) if self._enters else call

    def returned(self, frame: Frame, step: StepPlan, took_ns: int) -> None:
        """A function has returned, or raised, in a worker thread: told when its node ends."""
        key = step.path, frame.item
        self._threads_ns[key] = self._threads_ns.get(key, 0) + took_ns

    def container_called(self, frame: Frame, step: StepPlan, inputs: Mapping[str, Any]) -> None:
        """A graph, map or loop has read its inputs."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeCalled(self._run, step.path, item, monotonic_ns(), inputs, 1, None, outer))

    def resource_called(
        self, frame: Frame, step: StepPlan, attempt: int, resource: str, call: Callable[[], Awaitable[Any]]
    ) -> Awaitable[Any]:
        """A resource is asked: what ``call`` awaits, in the context that tracers prepare for it."""
        item, outer = place_of(frame.item)
        number = self._numbers.get((step.path, frame.item), 0)
        event = events.NodeCalled(self._run, step.path, item, monotonic_ns(), None, attempt, resource, outer, number)
        self.tell(event)
        return _within(self._enters, event, call()) if self._enters else call()

    def node_settled(self, frame: Frame, step: StepPlan, out: Mapping[str, Any], ready: Ready, at_ns: int) -> None:
        """``step`` ended well: settle it, and tell what became ready."""
        before = len(ready)
        frame.settle(step, out, ready)
        if self.kept is not None:
            self._keep(frame, step, out)
        at_ns += CLOCK_NS
        item = frame.item
        told = out if self.sees_calls else None
        took_ns = self._threads_ns.pop((step.path, item), None) if self._threads_ns else None
        if self._numbers:
            self._numbers.pop((step.path, item), None)
        index = item[-1] if item else None
        self.tell(_new(_NodeFinished, (self._run, step.path, index, at_ns, item[:-1], told, took_ns)))
        if len(ready) > before:
            self._became_ready(ready, before, at_ns)

    def node_failed(self, frame: Frame, step: StepPlan, error: BaseException, *, handled: bool, ready: Ready) -> None:
        """``step`` raised: settle it if the graph goes on."""
        item, outer = place_of(frame.item)
        took_ns = self._threads_ns.pop((step.path, frame.item), None)
        self._numbers.pop((step.path, frame.item), None)
        self.tell(events.NodeFailed(self._run, step.path, item, monotonic_ns(), error, handled, outer, took_ns))
        if handled:
            self._keep(frame, step, {ERROR: error})
            before = len(ready)
            frame.fail(step, error, ready)
            self._became_ready(ready, before, monotonic_ns())

    def node_skipped(self, frame: Frame, step: StepPlan, ready: Ready) -> None:
        """``step`` does not run."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeSkipped(self._run, step.path, item, monotonic_ns(), outer))
        before = len(ready)
        frame.skip(step, ready)
        self._became_ready(ready, before, monotonic_ns())

    def frame_started(self, frame: Frame, ready: Ready) -> None:
        """A graph or an item begins."""
        before = len(ready)
        frame.start(ready)
        if not self.terse:
            self._became_ready(ready, before, monotonic_ns())
            return
        readied, at_ns = {}, perf_counter_ns()
        for step in frame.plan.first:
            readied[step.index] = at_ns
        frame.readied = readied

    def became_ready(self, ready: Ready) -> None:
        """A map begins, and with it what streams from it."""
        self._became_ready(ready, 0, monotonic_ns())

    def _became_ready(self, ready: Ready, before: int, at_ns: int) -> None:
        if self.terse:
            self._note_ready(ready, before, at_ns - CLOCK_NS)
            return
        for frame, step in reversed(ready[before:]):
            if frame.marks is None or frame.runs(step):
                item = frame.item
                self.tell(_new(_NodeReady, (self._run, step.path, item[-1] if item else None, at_ns, item[:-1])))


class Begun:
    """A call under way of which no tracer was told."""

    __slots__ = ("frame", "inputs", "item", "number", "started_ns", "step")

    def __init__(self, frame: Frame, step: StepPlan, started_ns: int, number: int) -> None:
        self.frame = frame
        self.step = step
        self.item = frame.item  # the frame may be another item's by the time that a thread looks at it
        self.started_ns = started_ns
        self.number = number
        self.inputs: Mapping[str, Any] | None = None

    def called(self, run: str, inputs: Mapping[str, Any] | None = None) -> events.NodeCalled:
        """The event of the call."""
        item, outer = place_of(self.item)
        at_ns = self.started_ns + CLOCK_NS
        return events.NodeCalled(run, self.step.path, item, at_ns, inputs, 1, None, outer, self.number)


class _Reading(NamedTuple):
    """How what a leaf reads is shown: from the slots that hold it, or, where something is done to it, from its call."""

    slots: tuple[tuple[str, int], ...] | None
    names: tuple[str, ...]


def _reading_of(step: StepPlan) -> _Reading:
    plain = step.signature is not None and all(one.reader is None for one in step.arguments)
    slots = tuple((one.name, one.slot) for one in step.arguments) if plain else None
    found = _Reading(slots, () if step.signature is None else step.signature.names())
    object.__setattr__(step, "reading", found)
    return found


class _Entered:
    """A call before which each tracer prepares the context."""

    __slots__ = ("_call", "_enters", "_event")

    def __init__(self, enters: Sequence[Callable[[Event], Callable[[], object]]], event: Event, call: Any) -> None:
        self._enters = enters
        self._event = event
        self._call: Any = call

    def __call__(self) -> Any:
        for enter in self._enters:
            enter(self._event)
        call, self._call = self._call, None  # a failure that is kept must not keep what it was called with
        out = call()
        if type(out) is not dict and hasattr(out, "__await__"):
            return _within(self._enters, self._event, out)
        return out


async def _within(
    enters: Sequence[Callable[[Event], Callable[[], object]]], event: Event, awaitable: Awaitable[Any]
) -> Any:
    """Await in this task what tracers prepare its context for; afterwards its variables are as they were."""
    leaves = [enter(event) for enter in enters]
    try:
        return await awaitable
    finally:
        del awaitable
        for leave in reversed(leaves):
            leave()
