"""``Tree``: a run's events, one after the other, become spans.

Pure: no clock, no thread, nothing but what the events say and how much room there is, so the same events give the same
spans. A span is given away when it has ended; what is in a node and whose end is never told ends with that node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hush.core.events import (
    Event,
    ItemFailed,
    ItemFinished,
    ItemsRan,
    MapFinished,
    MapStarted,
    NodeCancelled,
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
from hush.observability._ids import Ids, trace_id
from hush.observability._preview import clean
from hush.observability._sampling import ItemSampler, Sampling, seed_of
from hush.observability._showing import Showing
from hush.observability._span import CONTAINERS, Failure, RunRecord, Status
from hush.observability._under_way import QuickItem, UnderWay, sink

_new: Any = tuple.__new__


class Tree(Showing):
    """The spans of one run. Events must be condensed: without values and exceptions.

    Attributes:
        tags: Added to those of the run.
    """

    def __init__(self, sampling: Sampling, tags: tuple[str, ...] = ()) -> None:
        super().__init__(sampling)
        self._items_done = self._items_failed = 0
        self._tags = tags
        self._ended_ns: int | None = None
        self._about: tuple[str, str | None, str | None] = ("", None, None)

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
        if act is not None and (self.run is not None or kind is RunStarted) and not self.is_over:
            act(self, event)

    @property
    def is_over(self) -> bool:
        """Whether the run has ended; what is told of it then is not heard."""
        return self._ended_ns is not None

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
            totals=self._totals() if totals else (),
        )

    # --- events --------------------------------------------------------------------------------------------
    def _run_started(self, event: RunStarted) -> None:
        self.trace = trace_id(event.run, event.path, event.wall_ns, event.at_ns)
        self._ids, self._others = Ids(self.trace, nodes=True), Ids(self.trace, nodes=False)
        self._wall_ns = event.wall_ns - event.at_ns
        self._begin(event.kinds or {})
        self._about = (clean(event.run, 1_000), event.user_id, event.session_id)
        self._tags = tuple(map(without_secrets, self._tags))
        self.run = UnderWay(self._others.of(self._others.next()), None, "run", event.path, (), event.at_ns)
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
        number = event.number or self._ids.next()
        one = UnderWay(self._ids.of(number), around, self._place(path).kind, path, items, at_ns)
        one.number = number
        if number in self._told_calls:
            self._told_calls.discard(number)
            one.told = True
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
        self._count_last(one)
        status: Status = "partial" if one.failed else "ok"
        self._close(one, status, event.at_ns)

    def ran(self, told: tuple[Any, ...]) -> None:
        """``feed`` with what most events are, or its fields."""
        _, path, _, at_ns, _, ready_ns, started_ns, _, _, number, _ = told
        run = self.run
        if run is None or self._ended_ns is not None:
            return
        sums = self._sums.get(path)
        if sums is not None:
            sums.add_quick(ready_ns, started_ns, at_ns)
        elif path in self._once:
            self._sums_of(path, self._place(path).kind, path).add_quick(ready_ns, started_ns, at_ns)
        else:  # most nodes outside maps are called once, and their span says it all
            self._once[path] = ready_ns, started_ns, at_ns
        self.produced += 1
        if self._told_calls:
            self._told_calls.discard(number)
        if not self._nodes:  # it lies in nothing but the run
            if number in self.seen:
                self._see(number, None)
            self.ended.append(self._quick_span(told, run.id))
            return
        self._ran_inside(_new(NodeRan, told))

    def _ran_inside(self, event: NodeRan) -> None:
        """Such a call has ended in a map, a graph or a loop."""
        _, path, item, at_ns, outer, ready_ns, started_ns, _, _, number, ends_item = event
        if item is not None:
            around = self._nodes.get((self._place(path).above, outer))
            if around is not None and around.within is not None:
                within = around.within.get(item)
                if within is None:
                    if ends_item:
                        self._quick_item(around, item, None, at_ns, [event])
                    else:
                        around.within[item] = [event]
                    return
                if type(within) is list:
                    within.append(event)
                    if ends_item:
                        self._item_ended(event)
                    return
        items = outer if item is None else (*outer, item)
        before = self._nodes.pop((path, items), None)
        if before is not None:  # as where a node starts
            self._close(before, "cancelled", started_ns)
        around = self._around(path, items, started_ns if ready_ns is None else ready_ns)
        if number in self.seen:
            self._see(number, around)
        self._keep(around, [self._quick_span(event, around.id)])
        if ends_item:
            self._item_ended(event)

    def _item_ended(self, event: NodeRan) -> None:
        """The item of a call has ended well with it."""
        map_path = self._place(event.path).above
        self._item_finished(ItemFinished(event.run, map_path, event.item, event.at_ns, event.outer))

    def _node_failed(self, event: NodeFailed) -> None:
        item = event.item
        one = self._nodes.pop((event.path, event.outer if item is None else (*event.outer, item)), None)
        if one is None:
            return
        self._count_last(one)
        one.failure = event.error  # type: ignore[assignment]  # condensed
        if one.resource is None:
            one.thread_ns = event.thread_ns
        if not event.handled:
            sink(one)
        self._close(one, "handled" if event.handled else "failed", event.at_ns)

    def _node_cancelled(self, event: NodeCancelled) -> None:
        one = self._find(event)
        if one is not None:
            self._forget(one)
            if one.around is not None:
                one.around.cut_ns = event.at_ns
            one.failure = one.sunk
            self._close(one, "failed" if one.sunk else "cancelled", event.at_ns)

    def _count_last(self, one: UnderWay) -> None:
        """Where nobody is told of calls: the attempt with which ``one`` has ended."""
        if one.tries and not self._kinds and one.tries[-1].failure is not None:
            one.attempts = one.tries[-1].number + 1

    def _node_skipped(self, event: NodeSkipped) -> None:
        item, at_ns = event.item, event.at_ns
        items = event.outer if item is None else (*event.outer, item)
        around = self._around(event.path, items, at_ns)
        kind, id_ = self._place(event.path).kind, self._others.of(self._others.next())
        one = UnderWay(id_, around, kind, event.path, items, at_ns)
        self._close(one, "skipped", at_ns)

    def _map_started(self, event: MapStarted) -> None:
        one = self._find(event)
        if one is not None:
            one.within = {}
            one.sampler = ItemSampler(self._sampling, event.total)
            one.seed = seed_of(self.trace, one.path, one.items)
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
        more = type(event) is ItemFinished or not event.corrects  # type: ignore[union-attr]  # else it was counted
        self._items_done += more
        node = self._nodes.get((event.path, event.outer))
        if node is None or node.within is None:
            return None
        node.done = (node.done or 0) + more
        node.changed = True
        known = event.item in node.within
        began_ns = _ended_ns(event) - (0 if known else event.took_ns or 0)
        item = self._item_under_way(node, event.item, began_ns)
        del node.within[event.item]
        if not known and event.took_ns is not None:
            # Nothing in it was told: it ran in another process, and this is the call itself.
            item.called_ns = began_ns
        item.key = event.key
        return item

    def _item_finished(self, event: ItemFinished) -> None:
        _, path, index, at_ns, outer, key, _, _, _ = event
        node = self._nodes.get((path, outer))
        if node is not None and node.within is not None and index is not None:
            ran = node.within.get(index)
            if type(ran) is list:
                del node.within[index]
                self._quick_item(node, index, key, at_ns, ran)
                return
        item = self._item(event)
        if item is not None:
            self._close(item, "ok", _ended_ns(event))

    def _quick_item(self, node: UnderWay, index: int, key: str | None, at_ns: int, ran: list[NodeRan]) -> None:
        """An item has ended well in which there were only quick calls."""
        self._items_done += 1
        node.done = (node.done or 0) + 1
        node.changed = True
        began_ns = min([one.started_ns if one.ready_ns is None else one.ready_ns for one in ran])
        self._quick_item_ended(QuickItem(node, self._others.next(), index, key, began_ns, at_ns, ran))

    def _items_ran(self, event: ItemsRan) -> None:
        items, calls = event.items, event.calls
        self._items_done += items
        self.produced += items + calls
        self.left_out += items + calls
        sums = self._sums_of(event.node, self._place(event.node).kind, event.node)
        sums.add_sums(calls, event.took_ns, event.slowest_ns)
        node = self._find(event)
        if node is not None and node.sampler is not None:
            node.sampler.pass_over(items)
            node.done = (node.done or 0) + items
            node.left_out = (node.left_out or 0) + items
            node.changed = True

    def _item_failed(self, event: ItemFailed) -> None:
        item = self._item(event)
        self._items_failed += 1
        if item is None:
            return
        if item.around is not None:
            item.around.failed = (item.around.failed or 0) + 1
        item.failure = event.error if isinstance(event.error, Failure) else None
        self._close(item, "failed", _ended_ns(event))

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


def _ended_ns(event: ItemFinished | ItemFailed) -> int:
    return event.at_ns if event.ended_ns is None else event.ended_ns


_ACTS: dict[type, Callable[[Any, Any], None]] = {
    RunStarted: Tree._run_started,
    RunFinished: Tree._run_finished,
    NodeReady: Tree._node_ready,
    NodeStarted: Tree._node_started,
    NodeFinished: Tree._node_finished,
    NodeRan: Tree.ran,
    NodeFailed: Tree._node_failed,
    NodeCancelled: Tree._node_cancelled,
    NodeSkipped: Tree._node_skipped,
    MapStarted: Tree._map_started,
    MapFinished: Tree._map_finished,
    ItemFinished: Tree._item_finished,
    ItemFailed: Tree._item_failed,
    ItemsRan: Tree._items_ran,
    RoundFinished: Tree._round_finished,
}
