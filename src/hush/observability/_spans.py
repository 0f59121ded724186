"""``spans_of``: the spans of one run, of all its events at once."""

from __future__ import annotations

from collections.abc import Iterable

from hush.core.events import Event
from hush.observability._bounds import PREVIEW, Bounds
from hush.observability._condense import Condenser
from hush.observability._sampling import USUAL, Sampling
from hush.observability._span import Span
from hush.observability._tree import Tree


def spans_of(events: Iterable[Event], *, sampling: Sampling = USUAL, bounds: Bounds | None = PREVIEW) -> list[Span]:
    """The spans of one run, of all its events in order, in the order in which they ended.

    Where the run had a tracer that asks for values (``protocols.CallTracer``), they say of each node of what kind it
    is; else nodes are of the kind ``"node"``. Of a run whose end is not among the events, what was under way stands at
    the end as ``running``.
    """
    condense, tree = Condenser(bounds), Tree(sampling)
    for event in events:
        condensed = condense(event)
        if condensed is not None:
            tree.feed(condensed)
    return [*tree.ended, *tree.under_way(2**63, 1_000_000)]
