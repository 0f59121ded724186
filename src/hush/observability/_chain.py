"""The chain of nodes that the end of a run waited for: backwards, each time to what a node waited for last."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
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
    """The chain, the first node at the front; empty while the run is under way, or if spans of it are missing."""
    below: dict[str, list[Span]] = defaultdict(list)
    root: Span | None = None
    for span in spans:
        if span.kind == "run":
            root = span
        elif span.kind == "graph" and span.left_out:
            return ()
        elif span.parent is not None and span.ended_ns is not None and span.status != "skipped":
            below[span.parent].append(span)
    if root is None or root.ended_ns is None or root.left_out:
        return ()
    found: list[Link] = []
    inside = [_backwards(root, below)]  # a stack and no recursion: graphs nest as deep as users like
    while inside:
        node = next(inside[-1], None)
        if node is None:
            inside.pop()
        elif node.kind in _OPENED and below.get(node.id):
            inside.append(_backwards(node, below))
        else:
            found.append(_link(node))
    return tuple(reversed(found))


def _backwards(around: Span, below: dict[str, list[Span]]) -> Iterator[Span]:
    """The nodes of the chain in ``around``, the last one first."""
    nodes = sorted(below[around.id], key=_ended) if around.id in below else []
    ends = [_ended(node) for node in nodes]
    at = len(nodes)
    while at:
        at -= 1
        yield nodes[at]
        ready_ns = nodes[at].ready_ns
        at = min(at, bisect_right(ends, nodes[at].started_ns if ready_ns is None else ready_ns))


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
