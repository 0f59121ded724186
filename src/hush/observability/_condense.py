"""``Condenser``: events without the values and exceptions in them, made in the run's thread before they are queued."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hush.core.events import (
    Event,
    ItemFailed,
    ItemFinished,
    ItemsRan,
    NodeAnswered,
    NodeCalled,
    NodeCancelled,
    NodeChunk,
    NodeFailed,
    NodeFinished,
    NodeRan,
    NodeRerouted,
    NodeRetrying,
    RunFinished,
    RunStarted,
)
from hush.observability._bounds import BRIEF, PREVIEW, Bounds
from hush.observability._failure import failure_of
from hush.observability._kinds import issubclass_of
from hush.observability._preview import clean, exact, preview, shown
from hush.observability._span import Failure, Generation

_new: Any = tuple.__new__  # a NamedTuple's own constructor costs twice as much
_ANSWERS = frozenset({"llm", "chain", "embedding", "rerank"})
"""The kinds of nodes that ask a model."""
_TAGS = "$tags"
_ID = 1_000
"""Characters of an id or a key; callers choose them."""
_TAGS_OF_ONE = 100
_TAGS_OF_RUN = 1_000
MANY_ITEMS = 1_000
"""After so many items of a run, of what is in further ones less is kept: nearly all of it would be thrown away."""
_INPUTS = NodeRan._fields.index("inputs")
_COST = 1e15  # neither infinite nor no number


class Gave(NamedTuple):
    """What is kept of what a node gave; it stands in the place of the event's ``outputs``."""

    outputs: Mapping[str, Any] | None
    tags: tuple[str, ...] = ()


class Condenser:
    """Makes the events of one run fit to be kept: plain, bounded, without secrets.

    Args:
        bounds: How much of what nodes read and gave is kept; ``None`` for nothing.

    Attributes:
        few: So many values that a call read or gave may be kept ``as_they_are``.
        few_in_items: The same of calls in items.
    """

    def __init__(self, bounds: Bounds | None) -> None:
        self._bounds = bounds
        self._in_items = bounds  # of what is in items, which is cut shorter once they are many
        self.few = self.few_in_items = -1 if bounds is None else bounds.few
        self._items = 0
        self._answer: frozenset[str] = frozenset()  # the paths of the nodes that ask a model
        self._begun: set[tuple[str, int | None, tuple[int, ...]]] = set()  # answers whose first part has come

    def __call__(self, event: Event) -> Event | None:
        """``event``, condensed; ``None`` if nobody needs it."""
        act = ACTS.get(type(event))
        return event if act is None else act(self, event)

    def _run_started(self, event: RunStarted) -> Event:
        self._answer = frozenset(path for path, kind in (event.kinds or {}).items() if kind in _ANSWERS)
        inputs = None if self._bounds is None or event.inputs is None else preview(event.inputs, self._bounds)
        return event._replace(
            inputs=inputs,
            user_id=_id(event.user_id),
            session_id=_id(event.session_id),
        )

    def _run_finished(self, event: RunFinished) -> Event:
        error = None
        cancelled = event.status == "cancelled" and type(event.error) is CancelledError
        if event.error is not None and not (cancelled and not event.error.args):
            error = failure_of(event.error)  # to be cancelled is no failure, but its message says by whom
        result = None
        if event.result is not None and self._bounds is not None:
            result = preview(event.result, self._bounds)
        tags = tuple(clean(str(tag), _ID) for tag in event.tags[:_TAGS_OF_RUN])
        return event._replace(error=error, result=result, tags=tags)  # type: ignore[arg-type]  # as ``Gave``

    def _node_called(self, event: NodeCalled) -> Event:
        inputs = event.inputs
        if event.about is not None:
            about: Any = _asked(event.about, self._bounds)
            return event._replace(about=about)
        if inputs is None:
            return event
        bounds = self._bounds_of(event.path, event.item)
        kept = None if bounds is None else preview(inputs, bounds)
        run, path, item, at_ns, _, attempt, resource, outer, number, _ = event
        return _new(NodeCalled, (run, path, item, at_ns, kept, attempt, resource, outer, number, None))  # type: ignore[no-any-return]

    def _bounds_of(self, path: str, item: int | None) -> Bounds | None:
        """How much is kept of what a call reads and gives: of what is asked of a model as much in each item."""
        return self._bounds if item is None or path in self._answer else self._in_items

    def _node_answered(self, event: NodeAnswered) -> Event:
        about: Any = _generation(event.resource, event.about)
        return event._replace(about=about)

    def _node_ran(self, event: NodeRan) -> Event:
        _, _, item, _, _, _, _, inputs, outputs, number, ends_item = event
        bounds = self._bounds if item is None else self._in_items
        if ends_item:
            self.count_items()
        if bounds is None:
            return _new(NodeRan, (*event[:_INPUTS], None, None, number, ends_item))  # type: ignore[no-any-return]
        reads = None if inputs is None else preview(inputs, bounds)
        gave = preview(outputs, bounds)
        return _new(NodeRan, (*event[:_INPUTS], reads, gave, number, ends_item))  # type: ignore[no-any-return]

    def _node_finished(self, event: NodeFinished) -> Event:
        outputs: Any = event.outputs
        if self._begun:
            self._begun.discard((event.path, event.item, event.outer))
        if outputs is None:
            return event
        tags: tuple[str, ...] = ()
        if _TAGS in outputs:
            tags = _tags(outputs[_TAGS])
            outputs = {key: value for key, value in outputs.items() if key != _TAGS}
        bounds = self._bounds_of(event.path, event.item)
        kept = None if bounds is None else preview(outputs, bounds)
        run, path, item, at_ns, outer, _, thread_ns = event
        return _new(NodeFinished, (run, path, item, at_ns, outer, Gave(kept, tags), thread_ns))  # type: ignore[no-any-return]

    def _cancelled(self, event: NodeCancelled) -> Event:
        if self._begun:
            self._begun.discard((event.path, event.item, event.outer))
        return event

    def _failed(self, event: NodeFailed | NodeRetrying | NodeRerouted) -> Event:
        if self._begun:
            self._begun.discard((event.path, event.item, event.outer))
        return event._replace(error=failure_of(event.error))  # type: ignore[arg-type]

    def count_items(self, items: int = 1) -> None:
        """So many more items have ended."""
        self._items += items
        if self._items >= MANY_ITEMS and self._bounds is PREVIEW:
            self._in_items = BRIEF
            self.few_in_items = BRIEF.few

    def _items_ran(self, event: ItemsRan) -> Event:
        self.count_items(event.items)
        return event

    def _item_failed(self, event: ItemFailed) -> Event:
        self.count_items()
        return event._replace(error=failure_of(event.error), key=_id(event.key))

    def _item_finished(self, event: ItemFinished) -> Event:
        self.count_items()
        if event.outputs is None and event.key is None:
            return event
        return event._replace(outputs=None, key=_id(event.key))

    def _chunk(self, event: NodeChunk) -> Event | None:
        place = (event.path, event.item, event.outer)
        if place in self._begun:
            return None
        self._begun.add(place)
        return event._replace(text="")


def bare(event: Any) -> Event:
    """``event`` without what it holds, where that could not be kept."""
    lost: dict[str, Any] = {name: None for name in ("inputs", "outputs", "result", "key") if name in event._fields}
    if getattr(event, "error", None) is not None:
        lost["error"] = Failure("lost", "what failed could not be kept")
    if getattr(event, "about", None) is not None:
        lost["about"] = Generation(resource=_id(exact(event.resource)))
    if "tags" in event._fields:
        lost["tags"] = ()
    return event._replace(**lost)  # type: ignore[no-any-return]


ACTS: dict[type, Callable[[Any, Any], Event | None]] = {
    RunStarted: Condenser._run_started,
    RunFinished: Condenser._run_finished,
    NodeAnswered: Condenser._node_answered,
    NodeCalled: Condenser._node_called,
    NodeFinished: Condenser._node_finished,
    NodeRan: Condenser._node_ran,
    NodeFailed: Condenser._failed,
    NodeCancelled: Condenser._cancelled,
    NodeRetrying: Condenser._failed,
    NodeRerouted: Condenser._failed,
    NodeChunk: Condenser._chunk,
    ItemFailed: Condenser._item_failed,
    ItemFinished: Condenser._item_finished,
    ItemsRan: Condenser._items_ran,
}


def _id(given: str | None) -> str | None:
    return None if given is None else clean(given, _ID)


def _tags(given: Any) -> tuple[str, ...]:
    """The tags that a node returned; an iterator of them is the run's to read."""
    kind = type(given)
    if issubclass_of(kind, str):
        return (clean(exact(given), _ID),)
    if kind not in (list, tuple, set, frozenset):
        return ()
    return tuple(clean(str(shown(tag)), _ID) for tag in list(given)[:_TAGS_OF_ONE])


def _asked(about: Mapping[str, Any], bounds: Bounds | None) -> Generation:
    """What is asked of a resource, as far as it is what one asks a model; who is asked is no value of the run's."""
    parameters = messages = None
    if bounds is not None:
        parameters = shown(about.get("parameters"), bounds)
        messages = shown(about.get("messages"), bounds)
    return Generation(
        requested=_said(about, "requested"),
        provider=_said(about, "provider"),
        server=_said(about, "server"),
        parameters=parameters if type(parameters) is dict and parameters else None,
        messages=messages if type(messages) is list else None,
    )


def _said(about: Mapping[str, Any], name: str) -> str | None:
    value = about.get(name)
    return clean(value, _ID) if type(value) is str and value else None


def _generation(resource: str, about: Mapping[str, Any]) -> Generation:
    """What a resource says of its answer, as far as it is what a model says."""
    usage, cost = about.get("usage"), about.get("cost")
    counts = None
    if type(usage) is dict:
        counts = {
            clean(name, _ID): count
            for name, count in usage.items()
            if type(name) is str and type(count) is int and abs(count) < 2**63
        }
    if type(cost) is not int and type(cost) is not float:
        cost = None

    return Generation(
        model=_said(about, "model"),
        resource=resource,
        usage=counts,
        cost=float(cost) if cost is not None and abs(cost) < _COST else None,
        finish_reason=_said(about, "finish_reason"),
        requested=_said(about, "requested"),
        provider=_said(about, "provider"),
        server=_said(about, "server"),
        response_id=_said(about, "response_id"),
    )
