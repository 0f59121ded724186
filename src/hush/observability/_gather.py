"""``Gatherer``: what four events tell of a plain call is told to the tree at once, as terse tracers hear it.

Where another tracer of a run wants each event, most of what a tree does would be for calls of which nothing but their
ends will be looked at. So they are held back here until it is clear that there was nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from hush.core.events import (
    Event,
    ItemFailed,
    ItemFinished,
    NodeCalled,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRan,
    NodeReady,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability._heard import HEARD
from hush.observability._span import CONTAINERS
from hush.observability._tree import Tree

Place: TypeAlias = tuple[str, int | None, tuple[int, ...]]
_new: Any = tuple.__new__


class Gatherer:
    """Feeds ``tree`` with one run's events, in order. Those of a call that has not ended may be held back."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._kinds: Any = {}
        self._ready: dict[Place, NodeReady] = {}
        self._held: dict[Place, tuple[NodeReady | None, NodeStarted, NodeCalled | None]] = {}

    def feed(self, event: Event) -> None:
        """Take the next event."""
        act = _ACTS.get(type(event))
        if act is None:
            self._tree.feed(event)
        else:
            act(self, event)

    def let_go(self, before_ns: int) -> None:
        """Tell the tree of calls that began before an instant, and are under way."""
        for place, (_, started, _) in list(self._held.items()):
            if started.at_ns <= before_ns:
                self._flush(place)

    def _is_leaf(self, path: str) -> bool:
        kind = self._kinds.get(path)
        return kind is not None and kind not in CONTAINERS

    def _flush(self, place: Place) -> None:
        held = self._held.pop(place, None)
        for event in held or ():
            if event is not None:
                self._tree.feed(event)

    def _flush_in(self, path: str, items: tuple[int, ...]) -> None:
        """What is under way in a container, or in an item: it ends with that, so the tree must know of it."""
        for place in _in(self._held, path, items):
            self._flush(place)

    # --- events --------------------------------------------------------------------------------------------
    def _run_started(self, event: RunStarted) -> None:
        self._kinds = event.kinds or {}
        self._tree.feed(event)

    def _run_finished(self, event: RunFinished) -> None:
        for place in list(self._held):
            self._flush(place)
        self._ready.clear()
        self._tree.feed(event)

    def _node_ready(self, event: NodeReady) -> None:
        if self._is_leaf(event.path):
            self._ready[event.path, event.item, event.outer] = event
        else:
            self._tree.feed(event)

    def _node_started(self, event: NodeStarted) -> None:
        path = event.path
        if not self._is_leaf(path):
            self._tree.feed(event)
            return
        place = path, event.item, event.outer
        if place in self._held:  # its end was never told
            self._flush(place)
        self._held[place] = self._ready.pop(place, None), event, None

    def _node_called(self, event: NodeCalled) -> None:
        place = event.path, event.item, event.outer
        held = self._held.get(place)
        if held is not None:
            inputs: Any = event.inputs
            plain = inputs is not None and event.attempt == 1 and event.resource is None
            if held[2] is None and plain:
                self._held[place] = held[0], held[1], event
                return
            self._flush(place)
        self._tree.feed(event)

    def _node_finished(self, event: NodeFinished) -> None:
        path, item, outer = event.path, event.item, event.outer
        held = self._held.pop((path, item, outer), None)
        gave: Any = event.outputs
        if held is None:
            if self._held and not self._is_leaf(path):
                self._flush_in(path, outer if item is None else (*outer, item))
            self._tree.feed(event)
            return
        ready, started, called = held
        if called is None or event.thread_ns is not None or gave is None or gave.tags:
            for each in (ready, started, called, event):
                if each is not None:
                    self._tree.feed(each)
            return
        ready_ns = None if ready is None else ready.at_ns
        about = (event.run, path, item, event.at_ns, outer, ready_ns, started.at_ns, called.inputs, gave.outputs)
        self._tree.feed(_new(NodeRan, (*about, started.number, False)))

    def _node_failed(self, event: NodeFailed | NodeCancelled) -> None:
        self._flush((event.path, event.item, event.outer))
        if self._held and not self._is_leaf(event.path):
            self._flush_in(event.path, event.outer if event.item is None else (*event.outer, event.item))
        self._tree.feed(event)

    def _item_failed(self, event: ItemFailed) -> None:
        if self._held and event.item is not None:
            self._flush_in(event.path, (*event.outer, event.item))
        self._item_ended(event)

    def _item_ended(self, event: ItemFinished | ItemFailed) -> None:
        if self._ready and event.item is not None:
            for place in _in(self._ready, event.path, (*event.outer, event.item)):  # what was ready and did not begin
                del self._ready[place]
        self._tree.feed(event)

    def _other(self, event: Any) -> None:
        """There is more to tell of this call."""
        if self._held:
            self._flush((event.path, event.item, event.outer))
        self._tree.feed(event)


def _in(places: Iterable[Place], path: str, items: tuple[int, ...]) -> list[Place]:
    """Those of ``places`` that lie in a container, or in an item."""
    inside = f"{path}/"
    return [
        (at, item, outer)
        for at, item, outer in places
        if at.startswith(inside) and (outer if item is None else (*outer, item))[: len(items)] == items
    ]


_ACTS: dict[type, Callable[[Gatherer, Any], None]] = {
    **dict.fromkeys(HEARD, Gatherer._other),
    RunStarted: Gatherer._run_started,
    RunFinished: Gatherer._run_finished,
    NodeReady: Gatherer._node_ready,
    NodeStarted: Gatherer._node_started,
    NodeCalled: Gatherer._node_called,
    NodeFinished: Gatherer._node_finished,
    NodeFailed: Gatherer._node_failed,
    NodeCancelled: Gatherer._node_failed,
    ItemFailed: Gatherer._item_failed,
    ItemFinished: Gatherer._item_ended,
}
