"""``Telling``: hands events to a run's tracers, and makes those that say what has happened and change nothing."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Callable, Mapping, Sequence
from time import get_clock_info, monotonic_ns, perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, TypeAlias

from hush.core import events
from hush.core._logs import logger
from hush.core._plan._model import StepPlan
from hush.core._runtime._frame import Frame
from hush.core.events import Event
from hush.core.protocols import Tracer

if TYPE_CHECKING:  # imported when a map first tells of itself
    from hush.core._runtime._pace import Pace

log = logger("hush.tracing")

CLOCK_NS = 0 if get_clock_info("monotonic") == get_clock_info("perf_counter") else monotonic_ns() - perf_counter_ns()
"""What makes an instant of ``perf_counter_ns``, by which calls are timed, one of ``monotonic_ns``: often one clock."""
_new: Any = tuple.__new__  # a NamedTuple's own constructor costs twice as much, once an item


Emit: TypeAlias = Callable[[Event], None]
Ran: TypeAlias = Callable[..., None]
"""What takes the fields of a ``NodeRan``."""


class Telling:
    """Tells the tracers of one run.

    Attributes:
        emit: Hands an event to all of them; of one tracer it is its own. When it raises, ``drop`` is to be called.
        ran: The same with the fields of a ``NodeRan``, if they take such.
        items_of: The path of the map whose items' outputs are told too.
        streams: Whether whoever listens takes parts of answers as they come.
        held: Whether whoever listens cannot take more for now: nothing new is to start until ``room`` returns.
    """

    __slots__ = ("_loop", "_paces", "_run", "_waiting", "emit", "held", "items_of", "ran", "streams")

    def __init__(self, run: Any, tracers: Sequence[Tracer]) -> None:
        self._run: str = run.id
        self._loop: asyncio.AbstractEventLoop = run.loop
        self.emit: Emit = _to_nobody
        self.ran: Ran = _to_nobody
        if len(tracers) == 1:
            self.emit, self.ran = tracers[0].emit, _ran_of(tracers[0])
        elif tracers:
            several = Several(self._run, tracers)
            self.emit, self.ran = several.emit, several.ran
        self._waiting: list[asyncio.Future[None]] = []
        self._paces: dict[tuple[str, tuple[int, ...]], Pace] = {}  # of the maps under way, by path and place
        self.items_of: str | None = None
        self.held = False
        self.streams = False

    async def room(self) -> None:
        """Wait until whoever listens can take more."""
        while self.held:
            waiter = self._loop.create_future()
            self._waiting.append(waiter)
            await waiter

    def hold(self, *, held: bool) -> None:
        """Start holding back, or go on."""
        self.held = held
        if not held:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    def tell(self, event: Event) -> None:
        """Hand ``event`` to every tracer; one that raises is dropped for the rest of the run and logged."""
        try:
            self.emit(event)
        except (Exception, CancelledError) as exc:  # a border: a tracer must not harm the run
            self.drop(exc)

    def tell_ran(self, told: tuple[Any, ...]) -> None:
        """Hand a ``NodeRan`` of these fields to every tracer, all of which take such, in the same way."""
        try:
            self.ran(*told)
        except (Exception, CancelledError) as exc:
            self.drop(exc)

    def drop(self, error: BaseException) -> None:
        """The only tracer has raised."""
        emit, self.emit, self.ran = self.emit, _to_nobody, _to_nobody
        if emit is not _to_nobody:  # else it has, while it was told what it has raised at now
            _log_dropped(emit, self._run, error)

    # --- the run --------------------------------------------------------------------------------------------
    def run_started(
        self,
        name: str,
        user_id: str | None,
        session_id: str | None,
        inputs: Mapping[str, Any] | None,
        kinds: Mapping[str, str] | None,
    ) -> None:
        """The run begins."""
        at_ns, wall_ns = monotonic_ns(), time_ns()
        self.tell(events.RunStarted(self._run, name, None, at_ns, wall_ns, user_id, session_id, (), inputs, kinds))

    def run_finished(
        self,
        name: str,
        status: str,
        seconds: float,
        error: BaseException | None,
        result: Any,
        tags: tuple[str, ...],
    ) -> None:
        """The run has ended."""
        self.tell(events.RunFinished(self._run, name, None, monotonic_ns(), status, seconds, error, result, tags))

    # --- leaves ---------------------------------------------------------------------------------------------
    def node_retrying(self, frame: Frame, step: StepPlan, attempt: int, error: BaseException, wait_s: float) -> None:
        """An attempt of ``step`` raised, and another follows."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeRetrying(self._run, step.path, item, monotonic_ns(), attempt, error, wait_s, outer))

    def node_rerouted(
        self, frame: Frame, step: StepPlan, attempt: int, error: BaseException, resource: str, to: str
    ) -> None:
        """The resource that ``step`` asked has failed, and another is asked."""
        item, outer = place_of(frame.item)
        at_ns = monotonic_ns()
        self.tell(events.NodeRerouted(self._run, step.path, item, at_ns, attempt, error, resource, to, outer))

    def node_chunk(self, frame: Frame, step: StepPlan, attempt: int, text: str, kind: str) -> None:
        """A part of what ``step`` is answered has come."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeChunk(self._run, step.path, item, monotonic_ns(), text, kind, attempt, outer))

    def node_answered(
        self, frame: Frame, step: StepPlan, attempt: int, resource: str, about: Mapping[str, Any]
    ) -> None:
        """A resource has answered."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeAnswered(self._run, step.path, item, monotonic_ns(), resource, about, attempt, outer))

    def node_cached(self, frame: Frame, step: StepPlan, *, joined: bool) -> None:
        """The outputs of ``step`` were not made for it."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeCached(self._run, step.path, item, monotonic_ns(), joined, outer))

    def node_queued(self, frame: Frame, step: StepPlan, limits: tuple[str, ...], attempt: int) -> None:
        """A call waits to be admitted."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeQueued(self._run, step.path, item, monotonic_ns(), limits, attempt, outer))

    def node_admitted(
        self, frame: Frame, step: StepPlan, limits: tuple[str, ...], waited_s: float, attempt: int
    ) -> None:
        """A call is admitted."""
        item, outer = place_of(frame.item)
        self.tell(events.NodeAdmitted(self._run, step.path, item, monotonic_ns(), limits, waited_s, attempt, outer))

    def node_released(self, item: tuple[int, ...], step: StepPlan, limits: tuple[str, ...], attempt: int) -> None:
        """A call has given back what it held; its frame may be another item's by now."""
        index, outer = place_of(item)
        self.tell(events.NodeReleased(self._run, step.path, index, monotonic_ns(), limits, attempt, outer))

    # --- loops and maps -------------------------------------------------------------------------------------
    def round_finished(self, step: StepPlan, frame: Frame, number: int) -> None:
        """A round of a loop ended well."""
        item, outer = place_of(frame.item)
        self.tell(events.RoundFinished(self._run, step.path, item, monotonic_ns(), number, outer))

    def map_started(self, frame: Frame, step: StepPlan, total: int | None) -> None:
        """A map begins to pull."""
        from hush.core._runtime._pace import Pace

        item, outer = place_of(frame.item)
        self._paces[step.path, frame.item] = Pace(self._loop.time(), total)
        self.tell(events.MapStarted(self._run, step.path, item, monotonic_ns(), total, outer))

    def map_finished(self, frame: Frame, step: StepPlan, done: int, failed: int) -> None:
        """A map ended; one whose source could not be opened has not begun."""
        item, outer = place_of(frame.item)
        pace = self._paces.pop((step.path, frame.item), None)
        total, rate_per_s = (None, 0.0) if pace is None else (pace.total, pace.whole(self._loop.time(), done))
        at_ns = monotonic_ns()
        self.tell(events.MapFinished(self._run, step.path, item, at_ns, done, failed, outer, total, rate_per_s))

    def item_finished(
        self,
        step: StepPlan,
        around: tuple[int, ...],
        index: int,
        key: str | None,
        out: Mapping[str, Any],
        count: tuple[int, int],
        took_ns: int | None = None,
        ended_ns: int | None = None,
    ) -> None:
        """An item ended well. ``count`` is how many of its map have ended, and how many of those failed.

        One that ran in a worker process took ``took_ns``, and ended at ``ended_ns``.
        """
        path, at_ns = step.path, monotonic_ns()
        outputs = out if path == self.items_of else None
        told = self._run, path, index, at_ns, around, key, outputs, took_ns, ended_ns
        self.tell(_new(events.ItemFinished, told))
        self._map_progressed(path, around, at_ns, count)

    def tell_item(self, step: StepPlan, around: tuple[int, ...], index: int, at_ns: int) -> None:
        """An item ended well at ``at_ns``; how far its map is is told with others."""
        self.tell(_new(events.ItemFinished, (self._run, step.path, index, at_ns, around, None, None, None, None)))

    def items_ran(
        self,
        step: StepPlan,
        around: tuple[int, ...],
        node: str,
        sums: tuple[int, int, int, int],
        count: tuple[int, int],
    ) -> None:
        """Items of one call each ended well: how many, how many calls, how long these took, and the slowest."""
        at_ns = monotonic_ns()
        if any(sums):
            item, outer = place_of(around)
            self.tell(events.ItemsRan(self._run, step.path, item, at_ns, node, *sums, outer))
        self._map_progressed(step.path, around, at_ns, count)

    def item_failed(
        self,
        step: StepPlan,
        item: tuple[int, ...],
        key: str | None,
        error: Any,
        count: tuple[int, int],
        took_ns: int | None = None,
        ended_ns: int | None = None,
    ) -> None:
        """An item failed."""
        at_ns, outer = monotonic_ns(), item[:-1]
        self.tell(events.ItemFailed(self._run, step.path, item[-1], at_ns, error, outer, key, took_ns, ended_ns))
        self._map_progressed(step.path, outer, at_ns, count)

    def item_corrected(self, step: StepPlan, item: tuple[int, ...], key: str | None, error: BaseException) -> None:
        """An item has failed of which it was told that it ended well. How many have ended stays the same."""
        told = self._run, step.path, item[-1], monotonic_ns(), error, item[:-1], key
        self.tell(events.ItemFailed(*told, corrects=True))

    def _map_progressed(self, path: str, around: tuple[int, ...], at_ns: int, count: tuple[int, int]) -> None:
        """Tell how far a map is, if it is time to: by the loop's clock, so that in virtual time a seed decides it."""
        pace = self._paces[path, around]
        rate_per_s = pace.told(self._loop.time(), count[0])
        if rate_per_s is not None:
            item, outer = place_of(around)
            self.tell(events.MapProgressed(self._run, path, item, at_ns, *count, pace.total, rate_per_s, outer))


class Several:
    """More than one tracer of a run, told one after the other.

    Attributes:
        hearing: Those that have not raised, each by what it takes events with, and the fields of a ``NodeRan``.
    """

    __slots__ = ("_run", "hearing")

    def __init__(self, run: str, tracers: Sequence[Tracer]) -> None:
        self._run = run
        self.hearing: list[tuple[Emit, Ran]] = [(tracer.emit, _ran_of(tracer)) for tracer in tracers]

    def emit(self, event: Event) -> None:
        """Hand it to each."""
        for hears in self.hearing:
            try:
                hears[0](event)
            except (Exception, CancelledError) as exc:  # a border: one tracer must not harm the others
                self._drop(hears, exc)

    def ran(self, *told: Any) -> None:
        """Hand a ``NodeRan`` of these fields to each."""
        for hears in self.hearing:
            try:
                hears[1](*told)
            except (Exception, CancelledError) as exc:
                self._drop(hears, exc)

    def _drop(self, hears: tuple[Emit, Ran], error: BaseException) -> None:
        self.hearing = [other for other in self.hearing if other is not hears]
        _log_dropped(hears[0], self._run, error)


def _to_nobody(*_: Any) -> None:
    """There is no tracer, or none that has not raised."""


def _log_dropped(emit: Emit, run: str, error: BaseException) -> None:
    what = "the tracer's %r raised; it hears no more of run %s"
    log.error(what, emit, run, extra={"run": run}, exc_info=error)


def place_of(item: tuple[int, ...]) -> tuple[int | None, tuple[int, ...]]:
    return (item[-1], item[:-1]) if item else (None, ())


def _ran_of(tracer: Any) -> Callable[..., None]:
    """What ``tracer`` takes the fields of a ``NodeRan`` with, if it takes such: its own, or what makes the event."""
    emit: Callable[[Event], None] = tracer.emit
    if not getattr(tracer, "terse", False):
        return emit
    if callable(getattr(type(tracer), "ran", None)):  # of its own: one that hands on to another has not that one's
        ran: Callable[..., None] = tracer.ran
        return ran

    def emitted(*told: Any) -> None:
        emit(_new(events.NodeRan, told))

    return emitted
