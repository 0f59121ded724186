"""An item that failed in one map is failed in those after it, with the same error, unless they take the errors too."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

import pytest

from hush.core import PARENT, CodeNode, Each, GraphNode, Hush, MapNode
from hush.core._runtime._pass import BUDGET_NS
from kit.faults import label
from kit.flows import flows
from runtime.failing_items import labels, sync_body
from runtime.observing import outcome


def two_maps(*, takes_error=False, ran):
    def second(y, e=None):
        ran.append(y)
        return {"z": (y, e and label(e))}

    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2, 3])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        inputs = {"y": Each(one["y"])} | ({"e": Each(one["error"])} if takes_error else {})
        with MapNode(name="b", inputs=inputs) as two:
            reads = {"y": PARENT["y"]} | ({"e": PARENT["e"]} if takes_error else {})
            CodeNode(name="n", code_fn=second, inputs=reads, outputs={"z": PARENT["z"]})
        two["z"] >> PARENT["zs"]
        one["error"] >> PARENT["first"]
        two["error"] >> PARENT["second"]
    return graph


def test_an_item_that_failed_upstream_is_failed_downstream_with_the_same_error():
    ran = []
    found = outcome(two_maps(ran=ran)).result
    assert found["zs"] == [(10, None), None, (30, None)]
    assert sorted(ran) == [10, 30], "the body of a failed item must not run"
    assert labels(found["second"]) == [None, "-2", None]
    assert found["second"][1] is found["first"][1]


def test_a_body_runs_for_failed_items_if_it_takes_the_errors_too():
    ran = []
    found = outcome(two_maps(ran=ran, takes_error=True)).result
    assert found["zs"] == [(10, None), (None, "-2"), (30, None)]
    assert found["second"] == [None, None, None]


def test_a_failure_travels_through_three_maps():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
        with MapNode(name="b", inputs={"x": Each(one["x"])}) as two:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
        with MapNode(name="c", inputs={"x": Each(two["x"])}) as three:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
        three["x"] >> PARENT["xs"]
        three["error"] >> PARENT["errors"]
    found = outcome(graph).result
    assert (found["xs"], labels(found["errors"])) == ([1000, None], [None, "-2"])


@pytest.mark.parametrize("waits_for", [(), ("a",), ("b",), ("a", "b")], ids="-".join)
@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_two_errors_that_of_the_first_each_travels_whether_its_map_streams_or_not(order, waits_for):
    maps = {}
    with GraphNode(name="g") as graph:
        for name, items in (("a", [-1, -2, 3, 4]), ("b", [-5, 6, -7, 8])):
            with MapNode(name=name, inputs={"x": Each(items)}) as maps[name]:
                CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        with MapNode(name="c", inputs={name: Each(maps[name]["y"]) for name in order}) as last:
            CodeNode(name="n", code_fn=lambda a, b: {"z": (a, b)}, inputs={"*": PARENT}, outputs={"z": PARENT["z"]})
        for name in waits_for:
            maps[name] >> last
        last["error"] >> PARENT["errors"]
    assert {before for before, after in flows(graph) if flows(graph)[before, after] != "stream"} == set(waits_for)
    both = {"ab": "-1", "ba": "-5"}[order]
    assert labels(outcome(graph).result["errors"]) == [both, "-2", "-7", None]


def after_two(source, **options):
    """A map whose first item failed, and one over what `source` makes of its columns."""
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([-1, 2, 3])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        with MapNode(name="b", inputs={"y": Each(source(one))}, **options) as two:
            CodeNode(name="n", code_fn=lambda y: {"z": y}, inputs={"y": PARENT["y"]}, outputs={"z": PARENT["z"]})
        two["z"] >> PARENT["zs"]
        two["error"] >> PARENT["errors"]
    return graph


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (lambda one: one["y"].apply(lambda ys: [y for y in ys if y is not None]), [20, 30]),
        (lambda one: one["y"][::-1], [30, 20, None]),
        (lambda one: one["y"][1:], [20, 30]),
    ],
    ids=["filtered", "reversed", "sliced"],
)
def test_what_is_made_of_a_column_is_a_list_like_any_other(source, expected):
    """Its places are not those of the items that failed."""
    found = outcome(after_two(source)).result
    assert (found["zs"], found["errors"]) == (expected, [None] * len(expected))


def test_a_map_over_the_errors_runs_for_the_failed_items_too():
    found = outcome(after_two(lambda one: one["error"])).result
    assert (labels(found["zs"]), found["errors"]) == (["-1", None, None], [None] * 3)


def test_a_failure_travels_into_a_nested_graph():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([-1, 2])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        with GraphNode(name="inner", outputs=PARENT):
            with MapNode(name="b", inputs={"y": Each(one["y"])}) as two:
                CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["y"]}, outputs={"y": PARENT["y"]})
            two["error"] >> PARENT["errors"]
    assert labels(outcome(graph).result["errors"]) == ["-1", None]


def test_a_function_that_reads_a_column_gets_the_whole_list():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2, 3])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        CodeNode(name="o", code_fn=lambda ys: {"ys": ys}, inputs={"ys": one["y"]}, outputs=PARENT)
    assert outcome(graph).result["ys"] == [10, None, 30]


def test_a_failure_upstream_fails_a_map_that_fails_fast():
    with GraphNode(name="g") as graph:
        with MapNode(name="a", inputs={"x": Each([1, -2])}) as one:
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["x"]})
        with MapNode(name="b", inputs={"x": Each(one["x"])}, on_error="raise"):
            CodeNode(name="n", code_fn=sync_body, inputs={"x": PARENT["x"]})
    assert label(outcome(graph).error) == "-2"


@pytest.mark.timeout(20)
async def test_such_a_map_ends_also_where_the_budget_of_the_pass_is_spent_when_it_hears_of_that():
    """It waited for more items, in a run that was ending already: nobody woke it, and nobody could cancel it."""

    async def busy(x):
        until_ns = perf_counter_ns() + BUDGET_NS + 1_000_000
        while perf_counter_ns() < until_ns:
            pass
        await asyncio.sleep(0)

    async def first(x):
        if x == 0:
            raise ValueError("no")
        await asyncio.Event().wait()
        return {"y": x}

    with GraphNode(name="g") as graph:
        with MapNode(name="busy", inputs={"x": Each(range(10))}, max_concurrency=1):
            CodeNode(name="n", code_fn=busy, inputs={"x": PARENT["x"]})
        with MapNode(name="a", inputs={"x": Each(range(3))}) as one:
            CodeNode(name="n", code_fn=first, inputs={"x": PARENT["x"]}, outputs={"y": PARENT["y"]})
        with MapNode(name="b", inputs={"y": Each(one["y"])}, on_error="raise"):
            CodeNode(name="n", code_fn=lambda y: {}, inputs={"y": PARENT["y"]}, executor="inline")
    engine = Hush(graph)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            await engine.run()
