"""``Tree``: a run's events, one after the other, become spans.

Pure: no clock, no thread, nothing but what the events say, so the same events give the same spans. A span is given away
when it has ended; what a node had in it that never ended, because it was cancelled, ends with what was around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hush.core.events import (
    Event,
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeFailed,
    NodeFinished,
    NodeRan,
    NodeReady,
    NodeSkipped,
    NodeStarted,
    RoundFinished,
    RunFinished,
    RunStarted,
)
from hush.core.extend import without_secrets
from hush.observability._heard import HEARD
from hush.observability._preview import clean
from hush.observability._sampling import ItemSampler, Sampling
from hush.observability._span import Failure, Generation, RunRecord, Span, Status
from hush.observability._totals import CONTAINERS, Sums, records_of
from hush.observability._under_way import NO_IDS, Ids, UnderWay, inside_out, sink, trace_id

Place = tuple[str, tuple[int, ...]]


_new: Any = tuple.__new__
_names = Span._fields
_QUICK = tuple(Span._field_defaults[name] for name in _names[_names.index("first_ns") : _names.index("inputs")])
_REST = tuple(Span._field_defaults[name] for name in _names[_names.index("generation") :])


class Tree:
    """The spans of one run. Events must be condensed: without values and exceptions.

    Attributes:
        ended: Spans that have ended and are kept; whoever takes them empties it.
        gone: Ids of spans that were told as being under way, and are left out.
        produced: How many spans have ended, ``left_out`` of which were left out.
        tags: Added to those of the run.
    """

    def __init__(self, sampling: Sampling, tags: tuple[str, ...] = ()) -> None:
        self.ended: list[Span] = []
        self.gone: list[tuple[str, str]] = []
        self.produced = self.left_out = self.dropped = 0
        self._items_done = self._items_failed = 0
        self.trace = ""
        self._ids = self._others = NO_IDS
        self.run: UnderWay | None = None
        self._tags = tags
        self._sampling = sampling
        self._status: Status = "running"
        self._ended_ns: int | None = None
        self._wall_ns = 0  # what makes the run's time one since the epoch
        self._kinds: Any = {}
        self._about: tuple[str, str | None, str | None] = ("", None, None)
        self._told: set[str] = set()  # ids of spans in items that were told as being under way
        self._nodes: dict[Place, UnderWay] = {}
        self._items: dict[Place, UnderWay] = {}
        self._rounds: dict[Place, UnderWay] = {}
        self._told_call = ""  # the id of the last that was told of while it was called on the loop
        self._begun: list[UnderWay] = []  # containers that nobody has been told of
        self._sums: dict[str, Sums] = {}

    # --- what is known so far ------------------------------------------------------------------------------
    def feed(self, event: Event) -> None:
        """Take the next event."""
        kind = type(event)
        heard = HEARD.get(kind)
        if heard is not None:
            one = self._find(event)
            if one is not None:
                heard(one, event)
            return
        act = _ACTS.get(kind)
        if act is not None and (self.run is not None or kind is RunStarted):
            act(self, event)

    def record(self, *, totals: bool = True) -> RunRecord:
        """What is known of the run."""
        run = self.run
        assert run is not None
        request_id, user_id, session_id = self._about
        return RunRecord(
            trace=self.trace,
            request_id=request_id,
            name=run.path,
            status=self._status,
            started_ns=run.started_ns + self._wall_ns,
            ended_ns=None if self._ended_ns is None else self._ended_ns + self._wall_ns,
            user_id=user_id,
            session_id=session_id,
            tags=run.tags,
            failure=run.failure,
            produced=self.produced,
            left_out=self.left_out,
            dropped=self.dropped,
            items=self._items_done,
            items_failed=self._items_failed,
            totals=records_of(self._sums, every=bool(self.dropped or self.left_out)) if totals else (),
        )

    def begun(self, *, tell: bool = True) -> list[Span]:
        """Containers that have begun since this was last asked, and have not ended; forget them if nobody is told."""
        begun, self._begun = self._begun, []
        if not tell:
            return []
        return [self._running(one) for one in begun if not one.told and self._is_under_way(one)]

    def under_way(self, before_ns: int, most: int) -> list[Span]:
        """At most ``most`` spans that have been under way since ``before_ns`` and nobody knows of, or that changed."""
        found: list[Span] = []
        todo = [] if self.run is None or self._status != "running" else [self.run]
        while todo and len(found) < most:
            one = todo.pop()
            if one.started_ns <= before_ns and (not one.told or one.changed):
                found.append(self._running(one))
            if one.inside:
                todo += list(one.inside.values())[:most]
        return found

    def called(self, event: NodeStarted) -> list[Span]:
        """The span of a call that is under way and whose event will be the next; none if that has been told."""
        id_ = self._ids.following()
        if self.run is None or self._status != "running" or id_ == self._told_call:
            return []
        self._told_call = id_
        path, items = event.path, event.outer if event.item is None else (*event.outer, event.item)
        around = self._around(path, items, event.at_ns)
        if items or around.kind == "round":
            self._told.add(id_)
        at_ns = event.at_ns + self._wall_ns
        kind, name = self._kinds.get(path, "node"), path.rpartition("/")[2]
        return [Span(self.trace, id_, around.id, kind, name, path, items, "running", started_ns=at_ns, called_ns=at_ns)]

    def _is_under_way(self, one: UnderWay) -> bool:
        if one is self.run:
            return self._status == "running"
        return one.around is not None and one.around.inside is not None and id(one) in one.around.inside

    def _running(self, one: UnderWay) -> Span:
        if not one.told:
            one.told = True
            if one.items or one.kind == "round":
                self._told.add(one.id)
        one.changed = False
        return one.span(self.trace, self._wall_ns, "running", None)

    # --- where things are ----------------------------------------------------------------------------------
    def _around(self, path: str, items: tuple[int, ...], at_ns: int) -> UnderWay:
        """The span that a node at ``path`` lies in; an item or a round begins with the first that is heard of it."""
        assert self.run is not None
        above = path.rpartition("/")[0]
        if not above:
            return self.run
        if items:
            node = self._nodes.get((above, items[:-1]))
            if node is not None and node.sampler is not None:
                item = self._items.get((above, items))
                if item is None:
                    item = self._items[above, items] = UnderWay(self._others.next(), node, "item", above, items, at_ns)
                    item.name = f"{node.name}[{items[-1]}]"
                    item.held = []
                return item
        node = self._nodes.get((above, items))
        if node is None:
            return self.run
        if node.kind == "while":
            inner = self._rounds.get((above, items))
            if inner is None:
                inner = self._rounds[above, items] = UnderWay(self._others.next(), node, "round", above, items, at_ns)
                inner.round = node.rounds
                inner.name = f"{node.name}, round {node.rounds}"
            return inner
        return node

    def _find(self, event: Any) -> UnderWay | None:
        item = event.item
        return self._nodes.get((event.path, event.outer if item is None else (*event.outer, item)))

    # --- ends ----------------------------------------------------------------------------------------------
    def _close(self, one: UnderWay, status: Status, at_ns: int) -> None:
        """``one`` has ended, and with it what is still under way in it."""
        if one.inside:
            for inner in inside_out(one):
                self._forget(inner)
                inner.failure = inner.sunk
                self._close_alone(inner, "failed" if inner.sunk else "cancelled", at_ns)
        self._close_alone(one, status, at_ns)

    def _close_alone(self, one: UnderWay, status: Status, at_ns: int) -> None:
        around = one.around
        if around is not None and around.inside is not None:
            around.inside.pop(id(one), None)
        spans = one.attempt_spans(self.trace, self._others, self._wall_ns, status, at_ns)
        if one.sampler is not None:
            kept, out = one.sampler.rest()
            self._keep(around, kept)
            self._leave_out(one, out)
        spans.append(one.span(self.trace, self._wall_ns, status, at_ns))
        self.produced += len(spans)
        failed = status in ("failed", "handled")
        if one.kind not in ("run", "item", "round") or (one.kind == "item" and one.called_ns is not None):
            place = one.path if one.kind != "item" else f"{one.path}\0item"  # after its map, before what is in that
            sums = self._sums.get(place)
            if sums is None:
                sums = self._sums[place] = Sums(one.path, one.kind)
            sums.add(one, status, at_ns)
        if one.kind != "item":
            if failed:
                self._err(around)
            self._keep(around, spans)
            return
        assert one.held is not None
        node = around
        assert node is not None
        whole = [*one.held, *spans]
        if node.sampler is None:
            self._keep(node.around, whole)
            return
        surely = failed or one.erred or status == "cancelled"  # the last are few: those that were in flight
        kept, out = node.sampler.choose(whole, failed=surely, took_ns=at_ns - one.started_ns)
        if failed or one.erred:
            self._err(node)
        if kept:
            self._keep(node, kept)
        if out:
            self._leave_out(node, out)

    def _forget(self, one: UnderWay) -> None:
        """``one`` is no longer found by its place."""
        place = (one.path, one.items)
        table = self._items if one.kind == "item" else self._rounds if one.kind == "round" else self._nodes
        if table.get(place) is one:
            del table[place]

    def _err(self, one: UnderWay | None) -> None:
        """Something in ``one`` failed: the items around it are kept, whatever else is left out."""
        while one is not None:
            if one.kind == "item":
                if one.erred:
                    return
                one.erred = True
            one = one.around

    def _keep(self, around: UnderWay | None, spans: list[Span]) -> None:
        """Give spans away, or to the item that they lie in."""
        if not spans:
            return
        while around is not None:
            if around.held is not None:
                around.held += spans
                return
            around = around.around
        self.ended += spans
        if self._told:
            self._told.difference_update([span.id for span in spans])

    def _leave_out(self, node: UnderWay, spans: list[Span]) -> None:
        self.left_out += len(spans)
        node.left_out = (node.left_out or 0) + sum(span.kind == "item" and span.path == node.path for span in spans)
        for span in spans:
            if span.id in self._told:
                self._told.discard(span.id)
                self.gone.append((self.trace, span.id))

    # --- events --------------------------------------------------------------------------------------------
    def _run_started(self, event: RunStarted) -> None:
        self.trace = trace_id(event.run, event.path, event.wall_ns, event.at_ns)
        self._ids, self._others = Ids(self.trace, nodes=True), Ids(self.trace, nodes=False)
        self._wall_ns = event.wall_ns - event.at_ns
        self._kinds = event.kinds or {}
        self._about = (clean(event.run, 1_000), event.user_id, event.session_id)
        self._tags = tuple(map(without_secrets, self._tags))
        self.run = UnderWay(self._others.next(), None, "run", event.path, (), event.at_ns)
        self.run.inputs = event.inputs
        self.run.tags = self._tags
        self._begun.append(self.run)

    def _run_finished(self, event: RunFinished) -> None:
        run = self.run
        assert run is not None
        run.failure = event.error  # type: ignore[assignment]  # condensed
        run.outputs = event.result
        run.tags = tuple(dict.fromkeys((*self._tags, *event.tags)))
        self._status, self._ended_ns = event.status, event.at_ns  # type: ignore[assignment]
        self._close(run, self._status, event.at_ns)

    def _node_ready(self, event: NodeReady) -> None:
        item = event.item
        items = event.outer if item is None else (*event.outer, item)
        around = self._around(event.path, items, event.at_ns)
        if around.readies is None:
            around.readies = {}
        around.readies[event.path] = event.at_ns

    def _node_started(self, event: NodeStarted) -> None:
        path, item, at_ns = event.path, event.item, event.at_ns
        items = event.outer if item is None else (*event.outer, item)
        place = (path, items)
        before = self._nodes.get(place)
        if before is not None:  # its end was never told: it was cancelled
            self._close(before, "cancelled", at_ns)
        around = self._around(path, items, at_ns)
        one = UnderWay(self._ids.next(), around, self._kinds.get(path, "node"), path, items, at_ns)
        if around.readies:
            one.ready_ns = around.readies.pop(path, None)
        self._nodes[place] = one
        if one.kind in CONTAINERS and not items:
            self._begun.append(one)

    def _node_finished(self, event: NodeFinished) -> None:
        item = event.item
        one = self._nodes.pop((event.path, event.outer if item is None else (*event.outer, item)), None)
        if one is None:
            return
        if one.resource is None:  # else it only made a request there
            one.thread_ns = event.thread_ns
        gave: Any = event.outputs
        if gave is not None:
            one.outputs, one.tags = gave.outputs, gave.tags
        if one.resource is not None and (one.generation is None or one.generation.resource is None):
            one.generation = (one.generation or Generation())._replace(resource=one.resource)
        self._count_last(one)
        status: Status = "partial" if one.failed else "ok"
        self._close(one, status, event.at_ns)

    def _node_ran(self, event: NodeRan) -> None:
        _, path, item, at_ns, outer, ready_ns, started_ns, inputs, outputs = event
        items = outer if item is None else (*outer, item)
        first_ns = started_ns if ready_ns is None else ready_ns
        around = self._around(path, items, first_ns)
        if first_ns < around.started_ns and around.kind in ("item", "round"):
            around.started_ns = first_ns  # it was told of by the call that is under way in it
        kind = self._kinds.get(path, "node")
        sums = self._sums.get(path)
        if sums is None:
            sums = self._sums[path] = Sums(path, kind)
        sums.add_quick(ready_ns, started_ns, at_ns)
        self.produced += 1
        wall_ns = self._wall_ns
        started_wall_ns = started_ns + wall_ns
        # By position, past a constructor that takes names: this is most of what a small node costs.
        span = _new(
            Span,
            (
                self.trace,
                self._ids.next(),
                around.id,
                kind,
                path.rpartition("/")[2],
                path,
                items,
                "ok",
                started_wall_ns,
                at_ns + wall_ns,
                None if ready_ns is None else ready_ns + wall_ns,
                started_wall_ns,
                *_QUICK,
                inputs,
                outputs,
                *_REST,
            ),
        )
        while around.held is None:
            if around.around is None:
                self.ended.append(span)
                return
            around = around.around
        around.held.append(span)

    def _node_failed(self, event: NodeFailed) -> None:
        item = event.item
        one = self._nodes.pop((event.path, event.outer if item is None else (*event.outer, item)), None)
        if one is None:
            return
        self._count_last(one)
        one.failure = event.error  # type: ignore[assignment]  # condensed
        if one.resource is None:
            one.thread_ns = event.thread_ns
        else:
            one.generation = (one.generation or Generation())._replace(resource=one.resource)
        if not event.handled:
            sink(one)
        self._close(one, "handled" if event.handled else "failed", event.at_ns)

    def _count_last(self, one: UnderWay) -> None:
        """Where nobody is told of calls: the attempt with which ``one`` has ended."""
        if one.tries and not self._kinds and one.tries[-1].failure is not None:
            one.attempts = one.tries[-1].number + 1

    def _node_skipped(self, event: NodeSkipped) -> None:
        item, at_ns = event.item, event.at_ns
        items = event.outer if item is None else (*event.outer, item)
        around = self._around(event.path, items, at_ns)
        one = UnderWay(self._others.next(), around, self._kinds.get(event.path, "node"), event.path, items, at_ns)
        self._close(one, "skipped", at_ns)

    def _map_started(self, event: MapStarted) -> None:
        one = self._find(event)
        if one is not None:
            one.sampler = ItemSampler(self._sampling, event.total)
            one.total = event.total
            one.done = one.failed = 0
            if one.kind == "node":
                one.kind = "map"

    def _map_finished(self, event: MapFinished) -> None:
        one = self._find(event)
        if one is not None:
            one.done, one.failed = event.done, event.failed

    def _item(self, event: ItemFinished | ItemFailed) -> UnderWay | None:
        assert event.item is not None
        self._items_done += 1
        node = self._nodes.get((event.path, event.outer))
        items = (*event.outer, event.item)
        item = self._items.pop((event.path, items), None)
        if node is None:
            return item
        node.done = (node.done or 0) + 1
        node.changed = True
        if item is None:  # nothing in it was told: it ran in another process, or there is nothing to run
            began_ns = event.at_ns - (event.took_ns or 0)
            item = UnderWay(self._others.next(), node, "item", event.path, items, began_ns)
            item.name = f"{node.name}[{event.item}]"
            item.held = []
            if event.took_ns is not None:  # the call itself, of whose nodes nothing is told
                item.called_ns = began_ns
        item.key = event.key
        return item

    def _item_finished(self, event: ItemFinished) -> None:
        item = self._item(event)
        if item is not None:
            self._close(item, "ok", event.at_ns)

    def _item_failed(self, event: ItemFailed) -> None:
        item = self._item(event)
        self._items_failed += 1
        if item is None:
            return
        if item.around is not None:
            item.around.failed = (item.around.failed or 0) + 1
        item.failure = event.error if isinstance(event.error, Failure) else None
        self._close(item, "failed", event.at_ns)

    def _round_finished(self, event: RoundFinished) -> None:
        loop = self._find(event)
        if loop is None:
            return
        items = event.outer if event.item is None else (*event.outer, event.item)
        one = self._rounds.pop((event.path, items), None)
        loop.rounds = event.round + 1
        if one is not None:
            one.round = event.round
            self._close(one, "ok", event.at_ns)


_ACTS: dict[type, Callable[[Any, Any], None]] = {
    RunStarted: Tree._run_started,
    RunFinished: Tree._run_finished,
    NodeReady: Tree._node_ready,
    NodeStarted: Tree._node_started,
    NodeFinished: Tree._node_finished,
    NodeRan: Tree._node_ran,
    NodeFailed: Tree._node_failed,
    NodeSkipped: Tree._node_skipped,
    MapStarted: Tree._map_started,
    MapFinished: Tree._map_finished,
    ItemFinished: Tree._item_finished,
    ItemFailed: Tree._item_failed,
    RoundFinished: Tree._round_finished,
}
