"""What is held back until a plain call has ended becomes the spans that its events are by themselves."""

from __future__ import annotations

import pytest

from hush.core.events import (
    Event,
    ItemFailed,
    ItemFinished,
    MapFinished,
    MapStarted,
    NodeCalled,
    NodeFailed,
    NodeFinished,
    NodeQueued,
    NodeRan,
    NodeReady,
    NodeRetrying,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
)
from hush.observability._bounds import PREVIEW
from hush.observability._condense import Condenser
from hush.observability._gather import Gatherer
from hush.observability._sampling import Sampling
from hush.observability._spans import spans_of
from hush.observability._tree import Tree

KINDS = {
    "g/a": "code",
    "g/m": "map",
    "g/m/n": "code",
    "g/m/b": "branch",
    "g/m/k": "code",
    "g/w": "while",
    "g/w/n": "code",
}
BEGIN = RunStarted("r", "g", None, 0, 10**18, inputs={}, kinds=KINDS)
END = RunFinished("r", "g", None, 99, "ok", 1.0)
MAP = [NodeStarted("r", "g/m", None, 1, (), 1), MapStarted("r", "g/m", None, 2, 3)]
MAP_ENDS = [MapFinished("r", "g/m", None, 90, 1, 0), NodeFinished("r", "g/m", None, 91, (), {})]


def call(
    path: str, item: int | None, at_ns: int, number: int, *, thread_ns: int | None = None, **out: object
) -> list[Event]:
    return [
        NodeReady("r", path, item, at_ns),
        NodeStarted("r", path, item, at_ns + 1, (), number),
        NodeCalled("r", path, item, at_ns + 1, {"x": at_ns}, number=number),
        NodeFinished("r", path, item, at_ns + 3, (), out, thread_ns),
    ]


CASES: dict[str, list[Event]] = {
    "a call": call("g/a", None, 3, 1, y=1),
    "two calls of one node": [*call("g/a", None, 3, 1, y=1), *call("g/a", None, 9, 2, y=2)],
    "one that was cancelled, and began again": [*call("g/a", None, 3, 1)[:3], *call("g/a", None, 9, 2, y=2)],
    "in a thread": call("g/a", None, 3, 1, thread_ns=7, y=1),
    "with tags": call("g/a", None, 3, 1, **{"$tags": ["red"], "y": 1}),
    "nobody saw the call": [each for each in call("g/a", None, 3, 1, y=1) if type(each) is not NodeCalled],
    "tried twice": [
        *call("g/a", None, 3, 1)[:3],
        NodeRetrying("r", "g/a", None, 5, 1, ValueError("no"), 0.5),
        NodeCalled("r", "g/a", None, 6, {"x": 1}, 2, number=1),
        NodeFinished("r", "g/a", None, 8, (), {"y": 1}),
    ],
    "queued": [*call("g/a", None, 3, 1)[:2], NodeQueued("r", "g/a", None, 4, ("db",)), *call("g/a", None, 3, 1)[2:]],
    "fails": [*call("g/a", None, 3, 1)[:3], NodeFailed("r", "g/a", None, 8, ValueError("no"))],
    "never ends": call("g/a", None, 3, 1)[:3],
    "was ready and never began": call("g/a", None, 3, 1)[:1],
    "skipped": [NodeSkipped("r", "g/a", None, 4)],
    "in an item": [*MAP, *call("g/m/n", 0, 3, 2, y=1), ItemFinished("r", "g/m", 0, 9), *MAP_ENDS],
    "two in an item that is under way": [*MAP, *call("g/m/n", 0, 3, 2, y=1), *call("g/m/k", 0, 7, 3)[:3]],
    "cancelled with its item": [
        *MAP,
        *call("g/m/n", 0, 3, 2)[:3],
        *call("g/m/n", 1, 3, 3)[:3],
        ItemFailed("r", "g/m", 0, 9, ValueError("no")),
        *call("g/m/n", 1, 3, 3)[3:],
        ItemFinished("r", "g/m", 1, 12),
        *MAP_ENDS,
    ],
    "cancelled with its map": [*MAP, *call("g/m/n", 0, 3, 2)[:3], NodeFailed("r", "g/m", None, 9, ValueError("no"))],
    "a branch, which reads nothing": [
        *MAP,
        NodeReady("r", "g/m/b", 0, 3),
        NodeStarted("r", "g/m/b", 0, 4, (), 2),
        NodeFinished("r", "g/m/b", 0, 5, (), {"target": "n", "matched": "x"}),
        ItemFinished("r", "g/m", 0, 9),
        *MAP_ENDS,
    ],
    "of a terse tracer": [NodeRan("r", "g/a", None, 9, (), 3, 4, {"x": 1}, {"y": 2}, 1)],
}


@pytest.mark.parametrize("events", CASES.values(), ids=CASES)
@pytest.mark.parametrize("ends", [True, False], ids=["ends", "is under way"])
def test_the_same_spans(events, ends):
    events = [BEGIN, *events, *([END] if ends else [])]
    tree, condense = Tree(Sampling()), Condenser(PREVIEW)
    gather = Gatherer(tree)
    for event in events:
        condensed = condense(event)
        assert condensed is not None
        gather.feed(condensed)
    gather.let_go(2**63)
    found = [*tree.ended, *tree.under_way(2**63, 1_000)]
    # Ids of items are counted as they come to be known; what is under way is told of in any order.
    assert sorted(map(plain, found)) == sorted(map(plain, spans_of(events)))
    assert not ends or tree.produced == len(tree.ended)


def plain(span):
    return str(span._replace(id="", parent=""))


@pytest.mark.parametrize("end", [ItemFailed("r", "g/m", 1, 9, ValueError("no")), ItemFinished("r", "g/m", 1, 9)])
def test_of_an_item_that_has_ended_nothing_is_kept_that_did_not_begin(end):
    """A node that was ready when another one failed: of each such item one remained until the run ended."""
    gather = Gatherer(Tree(Sampling()))
    inner = NodeReady("r", "g/m/k", 0, 4, (1,))  # in a map within the item
    other = NodeReady("r", "g/m/n", 2, 4)
    for event in (BEGIN, *MAP, NodeReady("r", "g/m/n", 1, 3), inner, other, end):
        gather.feed(event)
    assert [*gather._ready.values()] == [other]
