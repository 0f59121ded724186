"""``RunRecorder``: what hears one run for a tracer: it queues the events, and spans are made of them elsewhere."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from time import monotonic_ns, sleep
from typing import Any, Protocol

from hush.core.events import Event, MapFinished, MapStarted, NodeCalled, NodeRan, NodeStarted, RunFinished, RunStarted
from hush.core.protocols import Place, Wanted
from hush.observability._annotations import Annotating
from hush.observability._bounds import Bounds
from hush.observability._complaints import Fields
from hush.observability._condense import ACTS, Condenser, bare
from hush.observability._failure import described
from hush.observability._gather import Gatherer
from hush.observability._ids import Ids, trace_id
from hush.observability._preview import as_they_are
from hush.observability._sampling import Sampling, seed_of, wanted
from hush.observability._span import RunRecord, Span
from hush.observability._tree import Tree

MOST_QUEUED = 8_192
"""Events that wait to become spans. With more, the run's own thread makes spans of some, which takes microseconds each
and never blocks: so a run cannot outrun its tracer, and no event is lost."""
LET_GO_S = 0.0002
"""For so long the pipeline's thread rests between slices, so that whoever waits for the interpreter has it now, and not
after 5 ms; 0 is too short for that."""
_TRIES = 1_000
SLICE = 256
"""Events that become spans at a time: about a millisecond, in which no other thread has the interpreter."""
AFTER_S = 0.5
"""What has been under way for so long is told of, and again what has changed."""
AGAIN_S = 10.0
"""So often at least a run under way is told of: whoever has taken it for dead must be put right."""
LONG_NS = int(AFTER_S * 0.9e9)
"""An item that took longer may have been told of as under way, so its end is wanted too; a tenth less, since calls and
events are timed by two clocks."""
_MOST_UNDER_WAY = 1_000


class Sink(Protocol):
    """Where a recorder's spans go: the pipeline. All of it may be called from a run's thread, and does not block."""

    def add(self, recorder: RunRecorder, run: Hashable, /) -> bool:
        """A run begins; whether it is to be told of."""
        ...

    def take(self, spans: list[Span], run: str, /) -> int:
        """Spans of ``run`` have ended; gives how many there was no room for."""
        ...

    def crowd(self, held: int, /) -> tuple[int, int]:
        """A run holds so many more spans back, or fewer; gives how many are in memory, and how many may be."""
        ...

    def is_behind(self, events: int, /) -> bool:
        """A run has ended with so many events in its queue; whether too many wait for whoever makes spans of them."""
        ...

    def leave(self, recorder: RunRecorder, record: RunRecord, /) -> None:
        """A run that has ended has made all its spans itself: this is the rest."""
        ...

    def complain(self, message: str, about: Fields = ..., /) -> None:
        """Something is wrong, and is to be logged."""
        ...


class RunRecorder:
    """Hears one run. ``emit`` is called in its thread, all else in the pipeline's.

    Args:
        entering: Given the ids of the run's nodes, and what keeps what code puts on their spans; what it gives makes
            places for their calls.
    """

    sees_calls = terse = True

    def __init__(
        self,
        pipeline: Sink,
        bounds: Bounds | None,
        sampling: Sampling,
        tags: tuple[str, ...],
        entering: Callable[[Ids, Annotating], Callable[[], Place]] | None,
    ) -> None:
        self._pipeline = pipeline
        self._bounds = bounds
        self._condense = Condenser(bounds)
        self._queue: deque[Any] = deque()  # events, and the fields of some
        self._put: Callable[[Any], None] = self._queue.append
        self._lock = Lock()
        self.tree = Tree(sampling, tags)
        self._sampling = sampling
        self._trace = ""
        self._totals: dict[tuple[str, tuple[int, ...]], int | None] = {}  # of the maps under way
        self._gather = Gatherer(self.tree)
        self.run: tuple[str, str, int, int] = ("", "", 0, 0)  # what no two runs have in common
        self.finished = False
        self._held = 0  # of the spans that the tree holds back, those that the pipeline knows of
        self._told_ns = 0
        self._recorded_ns = 0  # when it was last told how far it is
        self._heard = False  # whether there is more of it since then
        self._named = False  # whether it was told whose run it is
        self._entering = entering
        self._calls: Callable[[int, int], Sequence[NodeStarted]] = _none
        if entering is not None:
            self.enter = self._enter
            self.place: Callable[[], Place] = Nowhere

    def attach(self, under_way: Callable[[int, int], Sequence[NodeStarted]]) -> None:
        """The run begins; ``under_way`` says which calls are, of which no event has told."""
        self._calls = under_way

    @property
    def trace(self) -> str:
        """The id of the run's trace; empty before it has begun."""
        return trace_id(*self.run) if any(self.run) else ""

    def wants(self, path: str, items: tuple[int, ...], /) -> Wanted | None:
        """Which items of a map become spans."""
        if self._put is _nothing_of:
            return None
        if not self._trace:
            self._trace = trace_id(*self.run)
        return wanted(self._sampling, self._totals.get((path, items)), seed_of(self._trace, path, items), LONG_NS)

    def _begin(self, event: Event) -> None:
        assert isinstance(event, RunStarted)
        self.run = event.run, event.path, event.wall_ns, event.at_ns
        if not self._pipeline.add(self, self.run):
            self._put = _nothing_of
            self._queue.clear()
        elif self._entering is not None:  # else the one that hears the run has the places of its calls too
            self._trace = trace_id(*self.run)
            ids = Ids(self._trace, nodes=True, seen=self.tree.seen)
            self.place = self._entering(ids, Annotating(self._bounds, self.tree.annotated, self._pipeline.complain))

    # --- in the run's thread -------------------------------------------------------------------------------
    def emit(self, event: Event, /) -> None:
        """Take an event. It never blocks, and nothing of what the event holds is kept."""
        kind = type(event)
        act = ACTS.get(kind)
        if act is not None:
            try:
                condensed = act(self._condense, event)
            except Exception as exc:  # whatever it holds, the trace goes on without that
                self._pipeline.complain(f"what an event holds could not be kept: {described(exc)}", _about(event))
                condensed = bare(event)
            if condensed is None:
                return
            self._put(condensed)
            if kind is RunStarted:
                self._begin(event)
            elif kind is RunFinished:
                if self._pipeline.is_behind(len(self._queue)):
                    self._finish()
            elif len(self._queue) > MOST_QUEUED:
                self.fold(SLICE, wait=False)
        else:
            self._put(event)
            if kind is MapStarted:
                self._totals[_place(event)] = event.total  # type: ignore[union-attr]
            elif kind is MapFinished:
                self._totals.pop(_place(event), None)

    def ran(
        self,
        run: str,
        path: str,
        item: int | None,
        at_ns: int,
        outer: tuple[int, ...],
        ready_ns: int | None,
        started_ns: int,
        inputs: Mapping[str, Any] | None,
        outputs: Mapping[str, Any],
        number: int,
        ends_item: bool,
    ) -> None:
        """``emit`` with what most events are, field by field: no event is made of what can be kept as it is."""
        condense = self._condense
        try:
            gave = as_they_are(inputs, outputs, condense.few if item is None else condense.few_in_items)
        except Exception:  # no memory, or no stack, is left: as there
            gave = None
        if gave is None:
            self.emit(NodeRan(run, path, item, at_ns, outer, ready_ns, started_ns, inputs, outputs, number, ends_item))
            return
        if ends_item:
            condense.count_items()
        self._put((run, path, item, at_ns, outer, ready_ns, started_ns, inputs, gave, number, ends_item))
        if len(self._queue) > MOST_QUEUED:
            self.fold(SLICE, wait=False)

    def _finish(self) -> None:
        """Make the rest of its spans: whoever should is held up, and runs that end meanwhile would pile up."""
        self.fold(len(self._queue), wait=False)
        if not self.finished or not self._lock.acquire(blocking=False):
            return
        try:
            held, self._held = self._held, 0
            self._pipeline.crowd(-held)
            record = self.tree.record()
        finally:
            self._lock.release()
        self._pipeline.leave(self, record)

    def _enter(self, event: NodeCalled) -> Callable[[], object]:
        """In the context of a call, in whatever thread."""
        try:
            place = self.place()
            place.enter(event.number)
            return place.leave
        except Exception as exc:
            self._pipeline.complain(f"the context of a call could not be prepared: {described(exc)}", _about(event))
            return Nowhere().leave

    # --- in the pipeline's thread --------------------------------------------------------------------------
    def waiting(self) -> int:
        """How many events wait to become spans."""
        return len(self._queue)

    def fold(self, most: int, *, wait: bool = True) -> bool:
        """Make spans of at most ``most`` events; ``False`` if there are no more.

        Without ``wait`` it does nothing if another thread is at it.
        """
        if wait:
            self._acquire()
        elif not self._lock.acquire(blocking=False):
            return True
        try:
            self._look_around()
            queue, feed, ran = self._queue, self._gather.feed, self.tree.ran
            take, count = queue.popleft, len(queue)  # nobody else takes from it, under the lock
            self._heard = self._heard or count > 0
            for _ in range(min(most, count)):
                event = take()
                kind = type(event)
                try:
                    if kind is tuple or kind is NodeRan:
                        ran(event)
                    else:
                        if kind is RunFinished:
                            self._leave_behind(event.at_ns)
                        feed(event)
                except Exception as exc:  # a fault of ours, or an event that no engine tells: the others are heard
                    self._pipeline.complain(
                        f"an event was not understood: {described(exc)}",
                        _about(NodeRan._make(event) if kind is tuple else event),
                    )
            self.finished = self.tree.is_over
            return count > most
        finally:
            self._hand_on()
            self._lock.release()

    def _leave_behind(self, at_ns: int) -> None:
        """The run has ended: calls that are under way all the same are left behind, and no event tells of them."""
        for event in self._calls(at_ns, sys.maxsize):
            self.tree.feed(event)
            self.tree.feed(NodeCalled(event.run, event.path, event.item, event.at_ns, outer=event.outer))

    def _hand_on(self) -> None:
        """Give the spans that have ended to the pipeline."""
        tree = self.tree
        if tree.ended:
            ended = tree.take_ended(LONG_NS)
            tree.dropped += self._pipeline.take(ended, self.run[0])
        if tree.crowding.held != self._held:
            self._look_around()

    def _look_around(self) -> None:
        """Tell the pipeline how many spans are held back, and the tree how many there are besides."""
        crowding, before = self.tree.crowding, self._held
        self._held = crowding.held
        there, crowding.most = self._pipeline.crowd(crowding.held - before)
        crowding.others = there - crowding.held

    def end(self) -> None:
        """The run is over: what is held back in vain, after a fault of ours, crowds nobody any more."""
        with self._turn():
            held, self._held = self._held, 0
            self._pipeline.crowd(-held)

    @contextmanager
    def _turn(self) -> Generator[None]:
        """The lock, in the pipeline's thread."""
        self._acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _acquire(self) -> None:
        """Wait for the lock, but not in line: who is given it there must wait for the interpreter with it in hand.

        For those 5 ms a busy run could not make spans, and would tell of more than are made in a turn: ever more.
        """
        for _ in range(_TRIES):
            if self._lock.acquire(blocking=False):
                return
            sleep(LET_GO_S)
        self._lock.acquire()

    def lose(self, count: int) -> None:
        """So many of its spans were dropped on their way."""
        with self._turn():
            self.tree.dropped += count
            self._heard = True

    def news(self, *, live: bool, beats: bool = True) -> tuple[list[Span], list[tuple[str, str]], RunRecord | None]:
        """What has changed besides the spans that have ended: those under way, those that are not kept, the run.

        With ``beats`` the run is told of twice a second though nothing has: so one sees that its process is there.
        """
        with self._turn():
            tree = self.tree
            if tree.run is None:
                return [], [], None
            running = tree.begun(tell=live)
            due = False
            if live:
                now_ns = monotonic_ns()
                if now_ns - self._told_ns >= AFTER_S * 1e9:
                    again = beats or self._heard or now_ns - self._recorded_ns >= AGAIN_S * 1e9
                    due = again and bool(self._told_ns)
                    self._told_ns = now_ns
                    before_ns = now_ns - int(AFTER_S * 1e9)
                    self._gather.let_go(before_ns)
                    running += tree.under_way(before_ns, _MOST_UNDER_WAY)
                    # What is under way then has no event in the queue, and none that has been folded.
                    running += tree.called(self._calls(before_ns, _MOST_UNDER_WAY))
            gone, tree.gone = tree.gone, []
            told = self.finished or due or not self._named or any(span.kind == "run" for span in running)
            self._named = True
            if not told:
                return running, gone, None
            self._heard, self._recorded_ns = False, monotonic_ns()
            return running, gone, tree.record()


def _place(event: Any) -> tuple[str, tuple[int, ...]]:
    return event.path, event.outer if event.item is None else (*event.outer, event.item)


def _about(event: Any) -> Fields:
    """What a record about ``event`` has as fields; it may be none that an engine tells."""
    run, path, item = (getattr(event, name, None) for name in ("run", "path", "item"))
    return {"run": run, "node": path, "item": item}


def _none(before_ns: int, most: int) -> Sequence[NodeStarted]:
    """Nobody has said what is under way."""
    return ()


def _nothing_of(_: Any) -> None:
    """Another one hears the run."""


class Nowhere:
    """The place of a call in a run that has not begun."""

    def enter(self, number: int, /) -> None:
        """It is not to be seen."""

    def leave(self) -> None:
        """There is nothing to undo."""
