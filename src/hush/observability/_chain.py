"""The chain of nodes that the end of a run waited for: backwards, each time to what a node waited for last."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from hush.observability._span import Span

_OPENED = frozenset({"run", "graph"})
"""In these the chain goes on inside; not in a map or loop, where what the end waited for is a matter of workers."""


class Link(NamedTuple):
    """A node of the chain: ``ready_s`` passed before it began, ``waited_s`` of ``seconds`` went to its limits."""

    id: str
    path: str
    kind: str
    started_ns: int
    seconds: float
    ready_s: float
    waited_s: float


def chain(spans: Iterable[Span]) -> tuple[Link, ...]:
    """The chain, the first node at the front; empty while the run is under way, or if its own span is missing."""
    below: dict[str, list[Span]] = defaultdict(list)
    root: Span | None = None
    for span in spans:
        if span.kind == "run":
            root = span
        elif span.parent is not None and span.ended_ns is not None and span.status != "skipped":
            below[span.parent].append(span)
    if root is None or root.ended_ns is None:
        return ()
    found: list[Link] = []
    _into(root, below, found)
    return tuple(reversed(found))


def _into(around: Span, below: dict[str, list[Span]], found: list[Link]) -> None:
    """Append the links in ``around``, the last one first."""
    nodes = sorted(below.get(around.id, ()), key=_ended)
    ends = [_ended(node) for node in nodes]
    at = len(nodes)
    before_ns: int | None = None
    while True:
        if before_ns is not None:
            at = min(at, bisect_right(ends, before_ns))
        if at == 0:
            return
        at -= 1
        node = nodes[at]
        before_ns = node.started_ns if node.ready_ns is None else node.ready_ns
        if node.kind in _OPENED and below.get(node.id):
            _into(node, below, found)
        else:
            found.append(_link(node))


def _ended(span: Span) -> int:
    return span.ended_ns or 0


def _link(span: Span) -> Link:
    waited_ns = sum(wait.admitted_ns - wait.queued_ns for wait in span.waits if wait.admitted_ns is not None)
    return Link(
        id=span.id,
        path=span.path,
        kind=span.kind,
        started_ns=span.started_ns,
        seconds=span.seconds or 0.0,
        ready_s=0.0 if span.ready_ns is None else max(0, span.started_ns - span.ready_ns) / 1e9,
        waited_s=waited_ns / 1e9,
    )
