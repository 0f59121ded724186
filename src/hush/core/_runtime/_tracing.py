"""``Tracing``: tells a run's tracers what happens, in order. Without a tracer there is none, and no event is made."""

from __future__ import annotations

from asyncio import CancelledError
from asyncio.events import _set_running_loop
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextvars import copy_context
from itertools import count
from time import monotonic_ns, perf_counter_ns
from types import BuiltinMethodType
from typing import Any

from hush.core import events
from hush.core._plan._model import StepPlan
from hush.core._runtime._about import about
from hush.core._runtime._entering import Around, Enter, Entered, within
from hush.core._runtime._frame import Frame, Ready
from hush.core._runtime._listening import Listener
from hush.core._runtime._quick import QuickCalls
from hush.core._runtime._reading import reading_of
from hush.core._runtime._telling import CLOCK_NS, Telling, log, place_of
from hush.core._spec._model import ERROR, TAGS
from hush.core.protocols import NONE_SLOW, Tracer, Wanted

_NodeFinished, _NodeReady, _NodeStarted = events.NodeFinished, events.NodeReady, events.NodeStarted
_new: Any = tuple.__new__  # a NamedTuple's own constructor costs twice as much, three times a node


class Tracing(Telling):
    """The tracers of one run.

    Attributes:
        kept: What the nodes outside maps gave, by path, if the run keeps it.
        quick: What tells of calls on the loop, if all tracers take one event for most of them.
        samples: Whether all of them do without being told of each item of a map.
        entering: The tracers that prepare the context of calls, by ``enters``, each given a ``NodeCalled``.
        numbers: Counts the nodes that start.
        sees_calls: Whether a tracer wants to be told what nodes read and gave, or to prepare the context of calls.
        builtin: Whether all take events with what is built in, such as the ``append`` of a list: that does not ask for
            the loop that runs, which to show takes two calls of the system a node, and takes no time worth a clock.
    """

    __slots__ = (
        "_started",
        "_threads_ns",
        "_wants",
        "builtin",
        "entering",
        "enters",
        "kept",
        "numbers",
        "quick",
        "samples",
        "sees_calls",
    )

    def __init__(self, run: Any, tracers: Sequence[Tracer]) -> None:
        found: list[Any] = []
        entering: list[Any] = []
        terse, sees_calls, builtin = bool(tracers), False, True
        for given in tracers:
            make = getattr(given, "for_run", None)
            one: Any = given if make is None else make()
            found.append(one)
            if callable(getattr(one, "enter", None)):
                entering.append(one)
            terse = terse and getattr(one, "terse", False)
            sees_calls = sees_calls or getattr(one, "sees_calls", False)
            builtin = builtin and type(one.emit) is BuiltinMethodType
        super().__init__(run, found)
        self.kept: dict[str, dict[str, Any]] | None = None
        self.entering = entering
        self.enters: list[Enter] = [one.enter for one in entering]
        self.numbers: Iterator[int] = count(1)
        self.quick: QuickCalls | None = None
        self._wants: list[Callable[[str, tuple[int, ...]], Wanted | None]] = []
        self._started: dict[tuple[str, tuple[int, ...]], int] = {}  # numbers of nodes under way that were told of
        self._threads_ns: dict[tuple[str, tuple[int, ...]], int] = {}  # of nodes that have not ended
        if terse:
            self.quick = QuickCalls(self, run.id)
            for one in found:
                one.attach(self.quick.under_way)
            self._wants = [one.wants for one in found if hasattr(one, "wants")]
        self.samples = terse and len(self._wants) == len(found)
        self.sees_calls = bool(sees_calls or entering)
        self.builtin = builtin
        for one in found:
            if isinstance(one, Listener):
                one.attach(self, run)

    def keep(self, frame: Frame, step: StepPlan, out: Mapping[str, Any]) -> None:
        """``step`` gave ``out``: keep that, if the run keeps what its nodes give."""
        if self.kept is not None and not frame.item:
            self.kept[step.path] = {key: value for key, value in out.items() if key != TAGS}

    def node_started(self, frame: Frame, step: StepPlan, at_ns: int = 0) -> None:
        """``step`` is about to be called, now or ``at_ns`` by ``perf_counter_ns``."""
        at_ns = (at_ns or perf_counter_ns()) + CLOCK_NS
        number, item = next(self.numbers), frame.item
        if self.quick is not None:
            self.tell_started(frame, step, at_ns, number, 0)
            return
        if self.enters and (step.bind is not None or step.map is not None):
            self._started[step.path, item] = number
        index, outer = (item[-1], item[:-1]) if item else (None, ())
        event = _new(_NodeStarted, (self._run, step.path, index, at_ns, outer, number))
        try:  # ``tell``, spelt out, as in ``node_ran``
            self.emit(event)
        except (Exception, CancelledError) as exc:
            self.drop(exc)

    def tell_started(self, frame: Frame, step: StepPlan, at_ns: int, number: int, ready_ns: int) -> None:
        """Tell when ``step`` became ready, of which nobody has been told yet, and that it has started.

        ``ready_ns`` is when it did, by ``perf_counter_ns``, or 0: then its frame knows.
        """
        item, outer = place_of(frame.item)
        since_ns: int | None = ready_ns
        if not since_ns:
            try:
                since_ns = frame.readied.pop(step.index, None)
            except AttributeError:  # nobody noted when: it is the one node of an item
                since_ns = at_ns - CLOCK_NS
        if since_ns is not None:
            self.tell(events.NodeReady(self._run, step.path, item, since_ns + CLOCK_NS, outer))
        self._tell_started(frame, step, at_ns, number)

    def _tell_started(self, frame: Frame, step: StepPlan, at_ns: int, number: int) -> None:
        item = frame.item
        if self.enters and (step.bind is not None or step.map is not None):
            self._started[step.path, item] = number
        self.tell(_new(_NodeStarted, (self._run, step.path, item[-1] if item else None, at_ns, item[:-1], number)))

    def wanted(self, path: str, around: tuple[int, ...]) -> Wanted:
        """Which items of a map are to be told of, one by one: those that any of the tracers wants."""
        found: list[Wanted] = []
        for wants in self._wants:
            try:
                wanted = wants(path, around)
                if wanted is not None:
                    found.append(Wanted(*wanted))
            except (Exception, CancelledError):  # a border: a tracer must not harm the run
                log.exception(
                    "%r raised; from now on each item is told of", wants, extra=about(self._run, path, around)
                )
                self._wants = [_every_item]
                return Wanted()
        if len(found) == 1:
            return found[0]
        if len({one.seed for one in found}) > 1:
            return Wanted()
        if not found:
            return Wanted(NONE_SLOW)
        return Wanted(
            min(one.slow_ns for one in found),
            found[0].seed,
            max(one.share for one in found),
            max(one.first for one in found),
            max(one.slowest for one in found),
            max(one.slowest_share for one in found),
        )

    def note_ready(self, ready: Ready, before: int, at_ns: int) -> None:
        """Remember when steps became ready, by ``perf_counter_ns``; it is told with what they start with."""
        for frame, step in ready[before:]:
            try:
                frame.readied[step.index] = at_ns
            except AttributeError:
                frame.readied = {step.index: at_ns}

    # --- calls, where a tracer wants to see them ------------------------------------------------------------
    def call(self, frame: Frame, step: StepPlan, attempt: int = 1, *, hidden: bool = False) -> Any:
        """Call the function of a leaf, as ``step.call`` does, and tell what it is called with.

        ``hidden`` says that the loop is: it is shown to tracers.
        """
        if step.bind is None:
            return step.call(frame.slots)
        return copy_context().run(self.prepared(frame, step, attempt, hidden=hidden))

    def prepared(self, frame: Frame, step: StepPlan, attempt: int = 1, *, hidden: bool = False) -> Callable[[], Any]:
        """The call of a leaf, to be made in a copy of the context, in whatever thread; tell what it is called with."""
        assert step.bind is not None
        call: Any = step.bind(frame.slots)
        inputs = reading_of(step).of(call)
        item, outer = place_of(frame.item)
        number = self._started.get((step.path, frame.item), 0)
        event = events.NodeCalled(self._run, step.path, item, monotonic_ns(), inputs, attempt, None, outer, number)
        if hidden and not self.builtin:
            _set_running_loop(self._loop)
        self.tell(event)
        if hidden:
            _set_running_loop(None)
        return Entered(self.enters, event._replace(inputs=None), call) if self.enters else call

    def returned(self, frame: Frame, step: StepPlan, took_ns: int) -> None:
        """A function has returned, or raised, in a worker thread: told when its node ends."""
        key = step.path, frame.item
        self._threads_ns[key] = self._threads_ns.get(key, 0) + took_ns

    def container_called(self, frame: Frame, step: StepPlan, inputs: Mapping[str, Any]) -> None:
        """A graph, map or loop has read its inputs."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeCalled(self._run, step.path, item, monotonic_ns(), inputs, 1, None, outer))

    def around(self, frame: Frame, step: StepPlan) -> Around | None:
        """What the code of a map's sources is put into, if any tracer prepares contexts."""
        if not self.enters:
            return None
        item, outer = place_of(frame.item)
        number, at_ns = self._started.get((step.path, frame.item), 0), monotonic_ns()
        event = events.NodeCalled(self._run, step.path, item, at_ns, None, 1, None, outer, number)
        return Around(self.enters, event)

    def resource_called(
        self,
        frame: Frame,
        step: StepPlan,
        attempt: int,
        resource: str,
        about: Mapping[str, Any] | None,
        call: Callable[[], Awaitable[Any]],
    ) -> Awaitable[Any]:
        """A resource is asked: what ``call`` awaits, in the context that tracers prepare for it."""
        item, outer = place_of(frame.item)
        number, at_ns = self._started.get((step.path, frame.item), 0), monotonic_ns()
        event = events.NodeCalled(self._run, step.path, item, at_ns, None, attempt, resource, outer, number, about)
        self.tell(event)
        return within(self.enters, event._replace(about=None), call()) if self.enters else call()

    def node_settled(self, frame: Frame, step: StepPlan, out: Mapping[str, Any], ready: Ready, at_ns: int) -> None:
        """``step`` ended well: settle it, and tell what became ready."""
        before = len(ready)
        frame.settle(step, out, ready)
        if self.kept is not None:
            self.keep(frame, step, out)
        at_ns += CLOCK_NS
        item = frame.item
        told = out if self.sees_calls else None
        took_ns = self._threads_ns.pop((step.path, item), None) if self._threads_ns else None
        if self._started:
            self._started.pop((step.path, item), None)
        index = item[-1] if item else None
        self.tell(_new(_NodeFinished, (self._run, step.path, index, at_ns, item[:-1], told, took_ns)))
        if len(ready) > before:
            self._became_ready(ready, before, at_ns)

    def node_ran(self, frame: Frame, step: StepPlan, out: dict[str, Any], ready: Ready, at_ns: int) -> int | None:
        """``node_settled`` for a call on the loop, of which all is told as it happens.

        Gives what ``Frame.settle_then`` does, unless nothing new is to start for now.
        """
        before = len(ready)
        then: int | None = frame.settle_then(step, out, ready)
        if self.kept is not None:
            self.keep(frame, step, out)
        item = frame.item
        if self._started:
            self._started.pop((step.path, item), None)
        at_ns += CLOCK_NS
        index, outer = (item[-1], item[:-1]) if item else (None, ())
        event = _new(_NodeFinished, (self._run, step.path, index, at_ns, outer, out if self.sees_calls else None, None))
        try:
            self.emit(event)
        except (Exception, CancelledError) as exc:
            self.drop(exc)
        if then is None:
            if len(ready) > before:
                self._became_ready(ready, before, at_ns)
            return None
        following = frame.plan.steps[then]
        event = _new(_NodeReady, (self._run, following.path, index, at_ns, outer))
        try:
            self.emit(event)
        except (Exception, CancelledError) as exc:
            self.drop(exc)
        if self.held:
            ready.append((frame, following))
            return None
        return then

    @property
    def plain(self) -> bool:
        """Whether there is nothing to do but hand events on, to what is built in: no work is then that of a tracer."""
        return self.builtin and not self.sees_calls and self.kept is None

    def ran_plainly(self, frame: Frame, step: StepPlan, then: int | None, at_ns: int, mode: int) -> bool:
        """``node_ran`` where all is ``plain``, for a call that is settled, ``then`` being what ``settle_then`` gave.

        Whether ``then`` has been told of as begun, too, since it is called at once: so it is where ``mode`` is that of
        its gate. What else became ready is not told of.
        """
        at_ns += CLOCK_NS
        item = frame.item
        index, outer = (item[-1], item[:-1]) if item else (None, ())
        emit, run = self.emit, self._run
        try:  # ``tell``, spelt out
            emit(_new(_NodeFinished, (run, step.path, index, at_ns, outer, None, None)))
            if then is not None:
                following = frame.plan.steps[then]
                path = following.path
                emit(_new(_NodeReady, (run, path, index, at_ns, outer)))
                if following.gate.mode == mode:
                    emit(_new(_NodeStarted, (run, path, index, at_ns, outer, next(self.numbers))))
                    return True
        except (Exception, CancelledError) as exc:
            self.drop(exc)
        return False

    def node_failed(self, frame: Frame, step: StepPlan, error: BaseException, *, handled: bool, ready: Ready) -> None:
        """``step`` raised: settle it if the graph goes on."""
        item, outer = place_of(frame.item)
        took_ns = self._threads_ns.pop((step.path, frame.item), None)
        self._started.pop((step.path, frame.item), None)
        self.tell(events.NodeFailed(self._run, step.path, item, monotonic_ns(), error, handled, outer, took_ns))
        if handled:
            self.keep(frame, step, {ERROR: error})
            before = len(ready)
            frame.fail(step, error, ready)
            self._became_ready(ready, before, monotonic_ns())

    def node_cancelled(self, frame: Frame, step: StepPlan) -> None:
        """A call of ``step`` was cancelled, and has ended."""
        place = step.path, frame.item
        self._started.pop(place, None)
        self._threads_ns.pop(place, None)
        item, outer = place_of(frame.item)
        self.tell(events.NodeCancelled(self._run, step.path, item, monotonic_ns(), outer))

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
        if self.quick is None:
            self._became_ready(ready, before, monotonic_ns())
            return
        readied, at_ns = {}, perf_counter_ns()
        for step in frame.plan.first:
            readied[step.index] = at_ns
        frame.readied = readied

    def became_ready(self, ready: Ready, before: int = 0, at_ns: int = 0) -> None:
        """What lies in ``ready`` beyond ``before`` has become ready, now or ``at_ns`` by ``perf_counter_ns``."""
        self._became_ready(ready, before, at_ns + CLOCK_NS if at_ns else monotonic_ns())

    def _became_ready(self, ready: Ready, before: int, at_ns: int) -> None:
        if self.quick is not None:
            self.note_ready(ready, before, at_ns - CLOCK_NS)
            return
        for frame, step in reversed(ready[before:]):
            if frame.marks is None or frame.runs(step):
                item = frame.item
                self.tell(_new(_NodeReady, (self._run, step.path, item[-1] if item else None, at_ns, item[:-1])))


def _every_item(path: str, around: tuple[int, ...]) -> Wanted:
    """A tracer has failed to say which it wants."""
    return Wanted()
