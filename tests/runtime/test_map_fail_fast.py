"""Maps that fail fast: what is in flight ends, nothing new begins, and the first error is raised."""

from __future__ import annotations

import asyncio

from hush.core import PARENT, CodeNode, Each, GraphNode, MapNode
from kit.faults import Boom, label
from runtime.failing_items import bodies, labels, mapped, sync_body
from runtime.observing import outcome


def test_fail_fast_starts_no_new_item_and_awaits_those_in_flight():
    began, ended = [], []

    async def body(x):
        began.append(x)
        try:
            await asyncio.sleep(1 if x == 1 else 5)
            if x == 1:
                raise Boom("one")
        finally:
            await asyncio.sleep(0.5)
            ended.append(x)

    found = outcome(mapped(body, range(100), read=[], max_concurrency=3, on_error="raise"))
    assert (label(found.error), found.error.hush.item, found.at_s) == ("one", 1, 2)
    assert sorted(began) == sorted(ended) == [0, 1, 2]


@bodies
def test_fail_fast_keeps_the_columns_so_far(body):
    items = [5, 4, 3, -2, 1] if body is sync_body else [5, 4, 3, -98, 1]
    error = outcome(mapped(body, items, on_error="raise", max_concurrency=2)).error
    assert isinstance(error, Boom)
    assert error.hush.path == "g/m/n"
    if body is sync_body:
        assert error.hush.columns["y"][:3] == [50, 40, 30]
        assert len(error.hush.columns["y"]) <= 5
    assert error.hush.item == 3


def test_fail_fast_raises_the_error_of_a_sync_body_before_the_next_item():
    began = []

    def body(x):
        began.append(x)
        return sync_body(x)

    outcome(mapped(body, [1, -2, 3], on_error="raise"))
    assert began == [1, -2]


def test_naming_the_column_of_errors_does_not_undo_fail_fast():
    """It never handles the map's own failure."""
    assert label(outcome(mapped(sync_body, [1, -2], on_error="raise", read=["error"])).error) == "-2"


def test_a_map_that_fails_fast_can_be_handled_by_a_graph_around_it():
    with GraphNode(name="g") as graph:
        with GraphNode(name="inner") as inner, MapNode(name="m", inputs={"x": Each([1, -2])}, on_error="raise"):
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]})
        inner["error"] >> PARENT["e"]
    assert label(outcome(graph).result["e"]) == "-2"


def test_a_map_that_fails_fast_inside_a_map_fails_its_item():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"row": Each([[1, 2], [3, -4], [5]])}) as outer:
            with MapNode(name="b", inputs={"x": Each(PARENT["row"])}, on_error="raise") as inner:
                CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs=PARENT)
            inner["y"] >> PARENT["ys"]
        outer["ys"] >> PARENT["ys"]
        outer["error"] >> PARENT["errors"]
    found = outcome(graph).result
    assert (found["ys"], labels(found["errors"])) == ([[10, 20], None, [50]], [None, "-4", None])
